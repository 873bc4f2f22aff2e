"""Norms: they bring energy back to what their scale says, whatever arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, log, prod
from typing import TypeVar

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.causal import as_later
from modelforge.signal.inverse import FEWEST, MANY, Inverse, Level, inverse, mean_share
from modelforge.signal.pull import Divided, Pull
from modelforge.signal.rule import Index, Node, Passed, passed, register_signal
from modelforge.signal.rules.dense import as_units
from modelforge.signal.rules.laws import by_laws, tail_of_unit
from modelforge.signal.scatter import biased, lognormal
from modelforge.signal.value import FLAT, Gradient, Profile, Signal

AnyMoments = TypeVar("AnyMoments", Signal, Gradient)
SMALL = 1e-300
MOST = 1 - 1e-9
"""What a norm's ε may take of an energy."""
UNKNOWN = 1.0
"""The energy that stands for one that is not known."""


@dataclass(frozen=True, slots=True)
class _Centre:
    """What a norm subtracts: the energy of the mean, and the covariances of means with elements."""

    energy: float
    along: float
    across: float
    size: int
    """Elements that share one mean and one variance."""
    channels: int
    """Units that do."""
    across_examples: bool = False

    def loose(self, kept: float) -> float:
        """The share of what makes energies of positions differ that a norm leaves, whose ε is a share of variances."""
        return 1.0 if self.across_examples else 1 - (1 - kept**2) * self.channels / self.size

    def freedom(self, signal: Signal) -> float:
        """Degrees of freedom of what a norm divides by: how many numbers that differ it is made of.

        Formula: 1/d = Σ over pairs of the squares of their correlations
        """
        variance = signal.second - self.energy
        if variance <= 0:
            return inf
        near, same, other = (
            ((item - mean) / variance) ** 2
            for item, mean in zip((signal.along, *signal.by_place), (self.along, self.across, self.across), strict=True)
        )
        chance = signal.chance + signal.own_chance
        near, far = min(1.0, near + chance), min(1.0, signal.over_places(same, other) + chance)
        uneven = prod(float((profile**2).mean()) for profile in signal.profile.values())
        if self.across_examples:
            return 1 / max(signal.overlap(tail_of_unit(signal) / 2, near, far) * uneven, 1e-9)
        positions = self.size // self.channels
        alike = (1 + (positions - 1) * near) / positions
        tail = signal.tail if self.energy == 0 else signal.central_tail + 2 / max(1, self.size - 1)
        return 2 / max(signal.swing / positions + (1 + signal.swing) * tail * alike / self.channels, 1e-9)


def _normalized(node: Node, signal: Signal, centre: _Centre, eps: float, *, centred: bool = True) -> Passed:
    """y = γ·(x - m)/√(v + eps) + β, and its gradient without what scale and mean take out.

    Formula: E y² = E γ²·v/(v + eps) + E β², v = E x² - E m²; E g² ← E γ²/(v + eps)·E g²·(1 - 2/n)
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167; Yang et al. 2019, arXiv:1902.08129
    """
    weight, bias = node.values("weight"), node.values("bias")
    scale, scale_mean = (weight.second, weight.mean) if "weight" in node.parameters else (1.0, 1.0)
    variance = max(0.0, signal.second - centre.energy)
    factor = scale / (variance + eps)
    kept = eps / (variance + eps)
    count = prod(signal.shape.sizes) / max(1, centre.size)
    freedom = centre.freedom(signal)
    pull = inverse(freedom, count, eps / variance) if variance > 0 else Inverse(1.0, 0.0)
    uneven = pull.factor * (1 + eps / variance) if variance > 0 else 1.0
    lost = min(MOST, eps / variance * pull.factor) if variance > 0 else 0.0
    alone = centre.freedom(replace(signal, chance=0.0, own_chance=0.0))
    levelled = _levelled(signal, centre, variance)
    read = _read_level(signal, centre, count)
    level = None if centre.across_examples or variance == 0 else _level(read, centre, freedom, count, eps / variance)
    # Few biases differ by chance, in relation to a variance of about 1.
    uneven_bias = 2 * (bias.std**2 / (scale + bias.second)) ** 2 if bias.std else 0.0
    drawn = weight.std > 0 or bias.std > 0
    by_unit = centre.across_examples or centre.channels == 1
    divided = Divided(signal.shape.sizes, centre.size, freedom, count, eps / max(variance, SMALL), centred)
    output = replace(
        signal,
        mean=bias.mean if centred else scale_mean * signal.mean / np.sqrt(variance + eps),
        second=scale * (1 - lost) + bias.second if variance > 0 else bias.second,
        along=factor * (signal.along - centre.along + (1 - levelled) * signal.placed / signal.shape.num_positions)
        + bias.second,
        across=factor * (signal.across - centre.across) + bias.second,
        placed=factor * levelled * signal.placed,
        drift=kept**2 * signal.drift,
        lift=kept * signal.lift,
        noise=kept**2 * signal.noise + (lost / (1 - lost)) ** 2 * pull.noise + uneven_bias / signal.shape.num_units,
        swing=kept**2 * signal.swing,
        loose=signal.loose * centre.loose(kept),
        balanced=signal.balanced and not drawn if centre.across_examples else centred and not drawn,
        level=level and level.raised(bias.std**2 / scale) if scale > 0 else None,
        table=signal.table and (signal.table[0], signal.table[1] * scale_mean / np.sqrt(variance + eps)),
        third=scale_mean * signal.third / (variance + eps) ** 1.5 if variance > 0 else 0.0,
        weight_gain=None,
        scatter=None,
        held=0.0 if centre.across_examples else None,
        preactivation=None,
    )

    def back(gradient: Gradient) -> Gradient:
        shared = 0.0
        if centre.across_examples:
            shared = signal.overlap(gradient.energy, gradient.along, gradient.across)
            left = gradient.energy * (1 - (1 - gradient.square) / centre.size) - shared
        else:
            # A norm after this one, of the same numbers, has taken the same directions out.
            taken = 0 if gradient.level else 1 - gradient.turned + centred
            left = gradient.energy * (1 - taken / centre.size)
        more, sent = _sent(gradient, read, level, eps / variance) if level else (pull, None)
        whole = factor * (uneven if more is pull else more.factor)
        drift, lift = gradient.drift + (1 - kept) ** 2 * (signal.drift + signal.noise), gradient.lift
        scatter = None
        if signal.scatter is not None and signal.scatter.present == 1 and not centre.across_examples and variance > 0:
            arriving = gradient.by_example(signal.shape)
            scatter = arriving.shifted(-biased(signal.scatter.logs, 1 - kept))
            more_of_small = scatter.mean / arriving.mean
            whole *= more_of_small
            scatter = replace(scatter.shifted(-log(more_of_small)), radial=np.zeros_like(scatter.radial))
            examples = signal.shape.num_examples
            drift, lift = lognormal(scatter.log_of_mean(signal.scatter, examples))
            drift += (1 - kept) ** 2 * signal.scatter.noise_of_mean(examples)
        return replace(
            gradient,
            energy=whole * max(0.0, left),
            scatter=scatter,
            lift=lift,
            along=whole * (gradient.along - shared),
            across=whole * (gradient.across - shared),
            level=sent,
            radial=None if centre.across_examples else _radial(gradient, level, kept),
            through=None,
            turned=0.0,
            square=0.0,
            drift=drift,
            noise=max(0.0, gradient.noise + more.noise),
            pull=Pull(uneven, pull.noise, freedom, alone, count) if by_unit and variance > 0 else None,
            divided=None if by_unit or variance == 0 else divided,
        )

    return by_laws(passed(output, back), signal, centre.channels, eps / max(variance, SMALL))


def _read_level(signal: Signal, centre: _Centre, count: float) -> Level | None:
    """The energies of what a norm reads, where the norm before divided the same elements by one number."""
    level = signal.level
    return level if level and (level.count, level.units) == (count, centre.channels) else None


def _level(read: Level | None, centre: _Centre, freedom: float, count: float, eps: float) -> Level | None:
    """The energies of positions after a norm: v/(v + ε) of small ones is less than 1."""
    if read:
        return replace(read, bottom=read.raised(eps).top)
    return Level(max(FEWEST, freedom), 0.0, eps, count, centre.channels) if freedom < MANY else None


def _sent(gradient: Gradient, read: Level | None, level: Level, eps: float) -> tuple[Inverse, Level | None]:
    """The factor on a gradient that a norm makes by position, where norms after it made energies uneven too.

    Formula: of norms in series, 1/(v + ε₁)·(v + ε₁)/(v + c) = 1/(v + c), whose mean is no product of means; of
        energies L in units of their mean M, (1 + ε)/(L/M + ε)
    """
    before = gradient.level.mean if gradient.level else Inverse(1.0, 0.0)
    last = gradient.level or level
    if read:
        sent, mean = replace(last, top=read.bottom), read.mean.factor
        after = Inverse(sent.mean.factor * mean * (1 + eps) / (1 + eps * mean), sent.mean.noise)
    else:
        sent, found = None, inverse(level.freedom, last.count, last.bottom)
        after = Inverse(found.factor * (1 + level.bottom), found.noise)
    return Inverse(after.factor / before.factor, after.noise - before.noise), sent


def _radial(gradient: Gradient, level: Level | None, kept: float) -> Inverse:
    """The share of the gradient that is left in the direction of what each position holds, whose size is lost.

    Formula: E c²/(v + c)³ / E 1/(v + c)
    """
    if level is None:
        return Inverse(kept**2, 0.0)
    bottom = gradient.level.bottom if gradient.level else level.bottom
    cubes, ones = (inverse(level.freedom, level.count, bottom, power) for power in (3, 1))
    return Inverse(bottom**2 * cubes.factor / ones.factor, cubes.noise)


def _levelled(signal: Signal, centre: _Centre, variance: float) -> float:
    """The factor on what positions have of their own in all examples, as units that have more have a larger variance.

    Formula: E b/(b + w) over its mean share β, b = β·χ²_d/d for d + 1 positions, w = 1 - β from many examples
    """
    positions = signal.shape.num_positions
    if not centre.across_examples or signal.placed <= 0 or variance <= 0:
        return 1.0
    share = min(1.0, (signal.by_place[0] - centre.across) / variance)
    return mean_share(max(0.0, share), positions - 1)


def _arriving(node: Node, units: int) -> Signal:
    """What a norm reads; of what is not known, something of energy 1."""
    if node.signals[0] is not None:
        return as_units(node.signals[0], units)
    shape = node.shape(units)
    return Signal(shape, 0.0, UNKNOWN, 0.0, 0.0)


def _noted(node: Node, result: Passed) -> Passed:
    """The result without a way back where what arrives is not known."""
    if node.signals[0] is not None:
        return result
    return replace(result, back=lambda gradients: (None,), note="known again: a norm; positions taken as independent")


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


@register_signal("LayerNorm", restarts=True)
def layer_norm(node: Node) -> Passed:
    """Each position's units get mean 0 and variance 1."""
    signal = _arriving(node, -1)
    if _span(node) == 1:
        return _noted(node, _nothing_left(node, signal))
    square, share = signal.mean**2, 1 / _span(node)
    own, along, across = ((1 - share) * square + share * it for it in (signal.second, signal.along, signal.across))
    centre = _Centre(own, along, across, _span(node), _span(node))
    return _noted(node, _even(_normalized(node, signal, centre, node.layer.arguments["eps"]), signal))


@register_signal("RMSNorm", restarts=True)
def rms_norm(node: Node) -> Passed:
    """Each position's units get a mean square of 1."""
    signal = _arriving(node, -1)
    eps = node.layer.arguments["eps"] or float(np.finfo(np.float32).eps)
    centre = _Centre(0.0, 0.0, 0.0, _span(node), _span(node))
    return _noted(node, _even(_normalized(node, signal, centre, eps, centred=False), signal))


def _span(node: Node) -> int:
    span = node.layer.arguments["normalized_shape"]
    return prod(span) if isinstance(span, tuple | list) else span


@register_signal("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", restarts=True)
def batch_norm(node: Node) -> Passed:
    """Each channel gets mean 0 and variance 1 over the batch; in evaluation, running ones change nothing."""
    signal = _arriving(node, 1)
    eps, shape = node.layer.arguments["eps"], signal.shape
    if not node.training and node.layer.arguments["track_running_stats"]:
        return _noted(node, _as_given(node, signal, eps))
    mean = signal.overlap(signal.second, signal.along, signal.across)
    size = shape.num_examples * shape.num_positions
    return _noted(node, _normalized(node, signal, _Centre(mean, mean, mean, size, 1, across_examples=True), eps))


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
    level = None if bias.std else scaled.level
    return passed(
        replace(scaled, mean=scaled.mean + bias.mean, level=level, **more), lambda gradient: gradient.amplified(factor)
    )


@register_signal("GroupNorm", restarts=True)
def group_norm(node: Node) -> Passed:
    """Each group of channels gets mean 0 and variance 1 over its positions."""
    signal = _arriving(node, 1)
    groups = node.layer.arguments["num_groups"]
    return _noted(node, _by_group(node, signal, signal.shape.num_units // groups))


@register_signal("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", restarts=True)
def instance_norm(node: Node) -> Passed:
    """Each channel gets mean 0 and variance 1 over its positions; in evaluation, running ones change nothing."""
    signal, arguments = _arriving(node, 1), node.layer.arguments
    if not node.training and arguments["track_running_stats"]:
        return _noted(node, _as_given(node, signal, arguments["eps"]))
    return _noted(node, _by_group(node, signal, 1))


def _by_group(node: Node, signal: Signal, channels: int) -> Passed:
    positions, square = signal.shape.num_positions, signal.mean**2
    others = (1 - 1 / channels) * square
    own = (signal.second + (positions - 1) * signal.along) / positions / channels + others
    across = signal.across / channels + others
    return _normalized(
        node, signal, _Centre(own, own, across, channels * positions, channels), node.layer.arguments["eps"]
    )
