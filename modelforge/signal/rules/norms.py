"""Norms: they bring energy back to what their scale says, whatever arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import TypeVar

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.causal import as_later
from modelforge.signal.elements import Elements
from modelforge.signal.normed import Centre, normalized
from modelforge.signal.own_values import of_norm
from modelforge.signal.rule import Index, Node, Passed, passed, register_signal
from modelforge.signal.rules.dense import as_units
from modelforge.signal.value import FLAT, Gradient, Profile, Signal

AnyMoments = TypeVar("AnyMoments", Signal, Gradient)
UNKNOWN = 1.0
"""The energy that stands for one that is not known."""
OF_UNKNOWN = "a norm of what is not known, and that may not be normal"


def _arriving(node: Node, units: int) -> Signal:
    """What a norm reads; of what is not known, something of energy 1."""
    if node.signals[0] is not None:
        return as_units(node.signals[0], units)
    elements = None if node.mixed else Elements(OF_UNKNOWN)
    return Signal(node.shape(units), 0.0, UNKNOWN, 0.0, 0.0, elements=elements)


def _noted(node: Node, result: Passed) -> Passed:
    """The result without a way back where what arrives is not known."""
    if node.signals[0] is not None:
        return result
    mean = " and of mean 0" if node.layer.type == "RMSNorm" and not node.mixed else ""
    note = f"known again: a norm; positions taken as independent{mean}"
    return replace(result, back=lambda gradients: (None,), note=note)


def _even(result: Passed, signal: Signal) -> Passed:
    """The result of a norm of each position by itself: energy is the same everywhere after it."""
    if not signal.profile:
        return result
    inverse = {axis: 1 / np.maximum(shape, 1e-12) for axis, shape in signal.profile.items()}

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        (gradient,) = result.back(gradients)
        assert gradient is not None
        gradient = _of_even(gradient, signal.profile)
        shapes: dict[int, np.ndarray] = {}
        for axis in {*inverse, *gradient.profile}:
            shape = inverse.get(axis, 1.0) * gradient.profile.get(axis, np.ones(signal.shape.sizes[axis]))
            gradient = replace(gradient, energy=gradient.energy * float(shape.mean()))
            shapes[axis] = shape / shape.mean()
        return (replace(gradient, profile=FrozenDict(shapes)),)

    output = replace(_of_even(result.outputs[()], signal.profile), profile=FLAT)
    return replace(result, outputs={(): output}, back=back)


def _of_even(of: AnyMoments, profile: Profile) -> AnyMoments:
    """The signal or gradient with its covariance by the later position divided by the sizes of both positions."""
    if len(of.later) != 1 or len(profile) != 1:
        return of
    ((axis, later),), sizes = of.later.items(), np.sqrt(next(iter(profile.values())))
    if len(later) != len(sizes) or not sizes.all():
        return of
    earlier = (np.cumsum(1 / sizes) - 1 / sizes) / np.maximum(1, np.arange(len(sizes)))
    along, shape = as_later(of.along * later * earlier / sizes)
    return replace(of, along=along, later=FrozenDict({axis: shape}))


@register_signal("LayerNorm", restarts=True, own_values=of_norm)
def layer_norm(node: Node) -> Passed:
    """Each position's units get mean 0 and variance 1."""
    signal = _arriving(node, -1)
    if _span(node) == 1:
        return _noted(node, _nothing_left(node, signal))
    square, share = signal.mean**2, 1 / _span(node)
    own, along, across = ((1 - share) * square + share * it for it in (signal.second, signal.along, signal.across))
    centre = Centre(own, along, across, _span(node), _span(node))
    return _noted(node, _even(normalized(node, signal, centre, node.layer.arguments["eps"]), signal))


@register_signal("RMSNorm", restarts=True, own_values=of_norm)
def rms_norm(node: Node) -> Passed:
    """Each position's units get a mean square of 1."""
    signal = _arriving(node, -1)
    eps = node.layer.arguments["eps"] or float(np.finfo(np.float32).eps)
    centre = Centre(0.0, 0.0, 0.0, _span(node), _span(node))
    return _noted(node, _even(normalized(node, signal, centre, eps, centred=False), signal))


def _span(node: Node) -> int:
    span = node.layer.arguments["normalized_shape"]
    return prod(span) if isinstance(span, tuple | list) else span


@register_signal("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", restarts=True, centres_channels=True, own_values=of_norm)
def batch_norm(node: Node) -> Passed:
    """Each channel gets mean 0 and variance 1 over the batch; in evaluation, running ones change nothing."""
    signal = _arriving(node, 1)
    eps, shape = node.layer.arguments["eps"], signal.shape
    if not node.training and node.layer.arguments["track_running_stats"]:
        return _as_given(node, as_units(node.signal, 1), eps)
    mean = signal.overlap(signal.second, signal.along, signal.across)
    size = shape.num_examples * shape.num_positions
    return _noted(node, normalized(node, signal, Centre(mean, mean, mean, size, 1, across_examples=True), eps))


def _nothing_left(node: Node, signal: Signal) -> Passed:
    """A norm of single numbers, each its own mean: the bias alone."""
    bias = node.values("bias")
    shape, square = signal.shape, bias.second
    output = Signal(shape, bias.mean, square, square, square, noise=2 / shape.num_units if bias.std else 0.0)
    return passed(output, lambda gradient: Gradient(0.0))


def _as_given(node: Node, signal: Signal, eps: float) -> Passed:
    """A norm by the mean 0 and the variance 1 that running statistics start with."""
    weight, bias = node.values("weight"), node.values("bias")
    factor = (weight.second if "weight" in node.parameters else 1.0) / (1 + eps)
    scaled = signal.times(factor**0.5)
    more = {name: getattr(scaled, name) + bias.second for name in ("second", "along", "across")}
    drawn = weight.std or bias.std
    made = replace(
        scaled,
        mean=scaled.mean + bias.mean,
        level=None if bias.std else scaled.level,
        preactivation=None if drawn or scaled.preactivation is None else scaled.preactivation.moved(1.0, bias.mean),
        **more,
    )
    return passed(made, lambda gradient: gradient.amplified(factor))


@register_signal("GroupNorm", restarts=True, own_values=of_norm)
def group_norm(node: Node) -> Passed:
    """Each group of channels gets mean 0 and variance 1 over its positions."""
    signal = _arriving(node, 1)
    groups = node.layer.arguments["num_groups"]
    return _noted(node, _by_group(node, signal, signal.shape.num_units // groups))


@register_signal(
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", restarts=True, centres_channels=True, own_values=of_norm
)
def instance_norm(node: Node) -> Passed:
    """Each channel gets mean 0 and variance 1 over its positions; in evaluation, running ones change nothing."""
    signal, arguments = _arriving(node, 1), node.layer.arguments
    if not node.training and arguments["track_running_stats"]:
        return _as_given(node, as_units(node.signal, 1), arguments["eps"])
    return _noted(node, _by_group(node, signal, 1))


def _by_group(node: Node, signal: Signal, channels: int) -> Passed:
    positions, square = signal.shape.num_positions, signal.mean**2
    others = (1 - 1 / channels) * square
    own = (signal.second + (positions - 1) * signal.along) / positions / channels + others
    across = signal.across / channels + others
    return normalized(
        node, signal, Centre(own, own, across, channels * positions, channels), node.layer.arguments["eps"]
    )
