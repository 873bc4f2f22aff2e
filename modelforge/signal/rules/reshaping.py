"""Layers that move, pick or average what arrives."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.rule import Node, Passed, Unpredictable, passed, register_signal
from modelforge.signal.rules.dense import normal_noise
from modelforge.signal.shape import Shape
from modelforge.signal.value import FLAT, Gradient, Signal, inherited


@register_signal("Flatten")
def flatten(node: Node) -> Passed:
    """Several dimensions as one; where they hold the units, units are all of it."""
    signal = node.signal
    first = node.layer.arguments.get("start_dim", 1) % len(signal.shape.sizes)
    flat = signal.regrouped(node.shape(min(first, signal.shape.units)))
    level = signal.level if flat.shape.num_units == signal.shape.num_units else None
    flat = replace(flat, level=level, profile=FLAT, preactivation=None)
    return passed(flat, lambda gradient: _unflattened(gradient, flat.shape, signal.shape))


@register_signal("Permute")
def permute(node: Node) -> Passed:
    """Dimensions in another order."""
    signal, dims = node.signal, [axis % len(node.signal.shape.sizes) for axis in node.layer.arguments["dims"]]
    to = {axis: place for place, axis in enumerate(dims)}
    shape = node.shape(to[signal.shape.units])
    moved = replace(signal, shape=shape, profile=FrozenDict({to[axis]: it for axis, it in signal.profile.items()}))

    def back(gradient: Gradient) -> Gradient:
        return replace(gradient, profile=FrozenDict({dims[axis]: it for axis, it in gradient.profile.items()}))

    return passed(moved, back)


@register_signal("Reshape", "Unflatten", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle")
def reshape(node: Node) -> Passed:
    """The same elements in another shape; what were units may be positions after it, and are independent there."""
    signal = node.signal
    rank = len(node.sizes())
    shape = node.shape(1 if rank > 3 else rank - 1)
    if shape.num_units == signal.shape.num_units:
        kept = replace(signal, shape=shape, profile=FLAT)
    else:
        square = signal.mean**2
        kept = signal.remade(shape, along=square, placed=signal.placed, profile=FLAT, weight_gain=signal.weight_gain)
    return passed(kept, lambda gradient: _unflattened(gradient, shape, signal.shape))


def _unflattened(gradient: Gradient, made: Shape, read: Shape) -> Gradient:
    """The gradient in the shape of before, where a position may have had other units."""
    radial = gradient.radial if made.num_units == read.num_units else None
    sent = replace(gradient, profile=FLAT, radial=radial)
    if made.num_positions > 1 or read.num_positions == 1:
        return sent
    # What were units do not depend on each other: only equal positions of two examples have something in common.
    return replace(sent, along=0.0, across=gradient.across / read.num_positions)


@register_signal("Select")
def select(node: Node) -> Passed:
    """One slice of a dimension; the gradient of all others is 0."""
    signal, axis = node.signal, node.layer.arguments["dim"] % len(node.signal.shape.sizes)
    size = signal.shape.sizes[axis]
    index = node.layer.arguments["index"] % size
    share = float(signal.profile[axis][index]) if axis in signal.profile else 1.0
    picked, level = _without(signal, (axis,)), signal.level
    if axis == signal.shape.units:
        level = None
    elif axis != signal.shape.batch:
        picked = replace(picked, across=signal.regrouped(picked.shape).across)
        level = level and replace(level, count=level.count / size)
    pairs = ("second", "along", "across", "placed")
    picked = replace(picked, level=level, **{name: share * getattr(picked, name) for name in pairs})
    picked = replace(picked, noise=max(signal.noise, normal_noise(picked)))
    only = np.zeros(size)
    only[index] = size

    def back(gradient: Gradient) -> Gradient:
        profile = {_place(place, (axis,)): shape for place, shape in gradient.profile.items()}
        profile = FrozenDict(profile if axis == signal.shape.units else profile | {axis: only})
        return replace(inherited(gradient), energy=gradient.energy / size, along=0.0, profile=profile)

    return _beside_mask(node, passed(picked, back))


@register_signal("Mean", averages=True)
def mean(node: Node) -> Passed:
    """The mean over positions: of what they have in common, all stays.

    Formula: E y² = (E x² + (r - 1)·E x x′)/r over r positions; E g² ← E g²/r²
    """
    signal, arguments = node.signal, node.layer.arguments
    dims = arguments["dim"] if isinstance(arguments["dim"], tuple | list) else (arguments["dim"],)
    axes = tuple(sorted(axis % len(signal.shape.sizes) for axis in dims))
    if signal.shape.units in axes or signal.shape.batch in axes:
        raise Unpredictable("it averages over units or examples")
    over = prod(signal.shape.sizes[axis] for axis in axes)
    shape = node.shape(signal.shape.units) if arguments["keepdim"] else _without(signal, axes).shape
    return _beside_mask(node, averaged(signal, shape, over))


def _beside_mask(node: Node, result: Passed) -> Passed:
    """The same where a mask is read, too, which gets no gradient."""
    unread = (None,) * (len(node.signals) - 1)
    return replace(result, back=lambda gradients: (*result.back(gradients), *unread)) if unread else result


@register_signal("PaddingMask")
def padding_mask(node: Node) -> Passed:
    """Which steps count: all of them, as no shape says how many are padding."""
    made = Signal(node.shape(-1), 1.0, 1.0, 1.0, 1.0)
    return Passed({(): made}, lambda gradients: (None,), note="as if no step was padding")


def averaged(signal: Signal, shape: Shape, over: int) -> Passed:
    """What means over `over` positions each are."""
    second = (signal.second + (over - 1) * signal.along) / over
    output = signal.remade(shape, second=second, placed=signal.placed / over, profile=FLAT, later=FLAT)
    output = replace(output, noise=max(signal.noise, normal_noise(output)), swing=signal.swing_of(output, 1 / over))
    positions = signal.shape.num_positions

    def back(gradient: Gradient) -> Gradient:
        # Elements of one window have one gradient, those of two what theirs have in common.
        inside = (over - 1) / max(1, positions - 1)
        along = inside * gradient.energy + (1 - inside) * gradient.along
        return replace(inherited(gradient), energy=gradient.energy / over**2, along=along / over**2, profile=FLAT)

    return passed(output, back)


def _place(axis: int, left_out: tuple[int, ...]) -> int:
    """Where a dimension was before others were left out."""
    for gone in left_out:
        axis += axis >= gone
    return axis


def _without(signal: Signal, axes: tuple[int, ...]) -> Signal:
    """The signal in fewer dimensions."""

    def to(axis: int | None) -> int | None:
        return None if axis is None else axis - sum(gone < axis for gone in axes)

    sizes = tuple(size for axis, size in enumerate(signal.shape.sizes) if axis not in axes)
    units = signal.shape.units if signal.shape.units not in axes else len(signal.shape.sizes) - 1
    profile = {axis - sum(gone < axis for gone in axes): it for axis, it in signal.profile.items() if axis not in axes}
    place = min(max(0, units - sum(gone < units for gone in axes)), max(0, len(sizes) - 1))
    return replace(
        signal, shape=Shape(sizes, to(signal.shape.batch), place), profile=FrozenDict(profile), preactivation=None
    )
