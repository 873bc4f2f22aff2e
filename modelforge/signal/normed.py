"""What a norm makes of a signal, and of the gradient on its way back, whatever it subtracts and divides by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, log, prod, sqrt

import numpy as np

from modelforge.signal.inverse import FEWEST, MANY, Inverse, Level, inverse, mean_share
from modelforge.signal.laws import by_laws, tail_of_unit
from modelforge.signal.pull import Divided, Pull
from modelforge.signal.rule import Node, Passed, Unpredictable, Values, passed
from modelforge.signal.scatter import GradientScatter, Scatter, biased, lognormal
from modelforge.signal.value import Gradient, Preactivation, Signal

ALIKE = 0.1
"""The share of a variance by which what a norm divides by may differ from that of all elements."""
MOST = 1 - 1e-9
"""What a norm's ε may take of an energy."""


@dataclass(frozen=True, slots=True)
class Centre:
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


def normalized(node: Node, signal: Signal, centre: Centre, eps: float, *, centred: bool = True) -> Passed:
    """y = γ·(x - m)/√(v + ε) + β, and its gradient without what scale and mean take out.

    Formula: E y² = E γ²·v/(v + ε) + E β², v = E x² - E m²; E g² ← E γ²/(v + ε)·E g²·(1 - 2/n)
    Source: Ioffe and Szegedy 2015, arXiv:1502.03167; Yang et al. 2019, arXiv:1902.08129

    Args:
        node: The norm.
        signal: What it reads.
        centre: What it subtracts.
        eps: ε.
        centred: Whether it subtracts a mean.
    """
    weight = node.values("weight") if "weight" in node.parameters else Values(1.0, 0.0, 0.0, 0.0)
    norm = _Norm(signal, centre, weight, node.values("bias"), eps, centred)
    result = passed(_forward(norm), lambda gradient: _backward(norm, gradient))
    return by_laws(result, signal, centre.channels, norm.ratio)


@dataclass(frozen=True)
class _Norm:
    """A norm at work."""

    signal: Signal
    centre: Centre
    weight: Values
    bias: Values
    eps: float
    centred: bool

    @property
    def over_batch(self) -> bool:
        return self.centre.across_examples

    @cached_property
    def variance(self) -> float:
        """v, which it divides by."""
        return max(0.0, self.signal.second - self.centre.energy)

    @cached_property
    def ratio(self) -> float:
        """ε in units of the variance."""
        return self.eps / self.variance if self.variance > 0 else inf

    @cached_property
    def kept(self) -> float:
        """What ε leaves of relative differences of energies."""
        return self.eps / (self.variance + self.eps)

    @property
    def present(self) -> float:
        """The share of examples that it brings back to its scale: what is 0 by chance stays 0."""
        return 1.0 if self.over_batch or self.signal.scatter is None else self.signal.scatter.present

    @cached_property
    def factor(self) -> float:
        """The factor on energies, for the mean variance of what is not 0."""
        return self.present * self.weight.second / (self.variance + self.eps)

    @property
    def lean(self) -> float:
        """The skewness of what it reads, about what it subtracts."""
        of_unit = self.centred and self.centre.channels == 1
        return self.signal.lean_of_unit(self.variance) if of_unit else self.signal.third / self.variance**1.5

    @cached_property
    def count(self) -> float:
        """The number of variances."""
        return prod(self.signal.shape.sizes) / max(1, self.centre.size)

    @cached_property
    def freedom(self) -> float:
        """Degrees of freedom of a variance."""
        return self.centre.freedom(self.signal)

    @cached_property
    def inverse(self) -> Inverse:
        """The mean of v/(v + ε) over variances, in units of ε = 0 and equal ones."""
        return inverse(self.freedom, self.count, self.ratio) if self.variance > 0 else Inverse(1.0, 0.0)

    @cached_property
    def uneven(self) -> float:
        """What unequal variances multiply the energy of gradients by."""
        return self.inverse.factor * (1 + self.ratio) if self.variance > 0 else 1.0

    @cached_property
    def read_level(self) -> Level | None:
        """The energies of what it reads, where the norm before divided the same elements by one number."""
        level = self.signal.level
        return level if level and (level.count, level.units) == (self.count, self.centre.channels) else None

    @cached_property
    def level(self) -> Level | None:
        """The energies of positions after it: v/(v + ε) of small ones is less than 1."""
        if self.over_batch or self.variance == 0:
            return None
        if self.read_level:
            return replace(self.read_level, bottom=self.read_level.raised(self.ratio).top)
        if self.freedom >= MANY:
            return None
        return Level(max(FEWEST, self.freedom), 0.0, self.ratio, self.count, self.centre.channels)


def _forward(norm: _Norm) -> Signal:
    """What a norm gives."""
    signal, centre, bias, kept = norm.signal, norm.centre, norm.bias, norm.kept
    variance, scale, scale_mean = norm.variance, norm.weight.second, norm.weight.mean
    lost = min(MOST, norm.ratio * norm.inverse.factor) if variance > 0 else 0.0
    # Few biases differ by chance, in relation to a variance of about 1.
    uneven_bias = 2 * (bias.std**2 / (scale + bias.second)) ** 2 if bias.std else 0.0
    drawn = norm.weight.std > 0 or bias.std > 0
    levelled = _levelled(signal, centre, variance)
    smoothed = (1 - levelled) * signal.placed / signal.shape.num_positions
    mean = 0.0 if norm.centred else scale_mean * signal.mean * np.sqrt(norm.present / (variance + norm.eps))
    output = replace(
        signal,
        mean=mean + bias.mean,
        second=norm.present * scale * (1 - lost) + bias.second if variance > 0 else bias.second,
        along=norm.factor * (signal.along - centre.along + smoothed) + bias.second,
        across=norm.factor * (signal.across - centre.across) + bias.second,
        placed=norm.factor * levelled * signal.placed,
        drift=kept**2 * signal.drift,
        lift=kept * signal.lift,
        noise=kept**2 * signal.noise
        + (lost / (1 - lost)) ** 2 * norm.inverse.noise
        + uneven_bias / signal.shape.num_units,
        swing=kept**2 * signal.swing,
        loose=signal.loose * centre.loose(kept),
        balanced=not drawn and (signal.balanced if norm.over_batch else norm.centred),
        level=norm.level and norm.level.raised(bias.std**2 / scale) if scale > 0 else None,
        table=signal.table and (signal.table[0], signal.table[1] * scale_mean / np.sqrt(variance + norm.eps)),
        third=scale_mean * norm.lean * (1 + norm.ratio) ** -1.5 if variance > 0 else 0.0,
        weight_gain=None,
        scatter=None,
        held=0.0 if norm.over_batch else None,
        preactivation=None if drawn else _moved(norm),
    )
    if norm.present == 1:
        return output
    made = Scatter.normal(0.0, 0.0).thinned(norm.present)
    drift, lift = made.drift_of_mean(signal.shape.num_examples, output.noise)
    return replace(output, drift=drift, lift=lift, scatter=made)


def _moved(norm: _Norm) -> Preactivation | None:
    """The activation that made what it reads, where it subtracts and divides by about the same everywhere."""
    signal, centred = norm.signal, norm.centred
    whole = signal.variance if centred else signal.second
    if signal.preactivation is None or abs(norm.variance - whole) > ALIKE * whole or norm.present < 1:
        return None
    factor = norm.weight.mean / sqrt(norm.variance + norm.eps)
    return signal.preactivation.moved(factor, norm.bias.mean - (factor * signal.mean if centred else 0.0))


def _backward(norm: _Norm, gradient: Gradient) -> Gradient:
    """The gradient of what a norm reads."""
    signal, over_batch, level = norm.signal, norm.over_batch, norm.level
    if norm.present < 1:
        raise Unpredictable("some examples are 0 before it, whose gradients it divides by the root of its ε")
    left, shared = _without_directions(norm, gradient)
    if level:
        more, sent = _sent(gradient, norm.read_level, level, norm.ratio)
        whole = norm.factor * more.factor
    else:
        more, sent = norm.inverse, None
        whole = norm.factor * norm.uneven
    drift, lift, scatter = gradient.drift + (1 - norm.kept) ** 2 * (signal.drift + signal.noise), gradient.lift, None
    followed = _by_example(norm, gradient)
    if followed is not None:
        more_of_small, scatter, drift, lift = followed
        whole *= more_of_small
    by_unit = over_batch or norm.centre.channels == 1
    return replace(
        gradient,
        energy=whole * max(0.0, left),
        scatter=scatter,
        lift=lift,
        along=whole * (gradient.along - shared),
        across=whole * (gradient.across - shared),
        level=sent,
        radial=None if over_batch else _radial(gradient, level, norm.kept),
        through=None,
        turned=0.0,
        square=0.0,
        drift=drift,
        noise=max(0.0, gradient.noise + more.noise),
        pull=_pull(norm) if by_unit and norm.variance > 0 else None,
        divided=None if by_unit or norm.variance == 0 else _divided(norm),
    )


def _without_directions(norm: _Norm, gradient: Gradient) -> tuple[float, float]:
    """E g² without the directions that change the mean or the size alone, and what pairs lose of it."""
    centre = norm.centre
    if norm.over_batch:
        shared = norm.signal.overlap(gradient.energy, gradient.along, gradient.across)
        return gradient.energy * (1 - (1 - gradient.square) / centre.size) - shared, shared
    # A norm after this one, of the same numbers, has taken the same directions out.
    taken = 0 if gradient.level else 1 - gradient.turned + norm.centred
    return gradient.energy * (1 - taken / centre.size), 0.0


def _by_example(norm: _Norm, gradient: Gradient) -> tuple[float, GradientScatter, float, float] | None:
    """The factor on E g² as small examples get more, how these differ, and drift and lift; None if not followed."""
    signal = norm.signal
    if signal.scatter is None or signal.scatter.present < 1 or norm.over_batch or norm.variance == 0:
        return None
    arriving, examples = gradient.by_example(signal.shape), signal.shape.num_examples
    scatter = arriving.shifted(-biased(signal.scatter.logs, 1 - norm.kept))
    factor = scatter.mean / arriving.mean
    scatter = replace(scatter.shifted(-log(factor)), radial=np.zeros_like(scatter.radial))
    drift, lift = lognormal(scatter.log_of_mean(signal.scatter, examples))
    return factor, scatter, drift + (1 - norm.kept) ** 2 * signal.scatter.noise_of_mean(examples), lift


def _pull(norm: _Norm) -> Pull:
    """What a norm of units one by one makes of a gradient."""
    alone = norm.centre.freedom(replace(norm.signal, chance=0.0, own_chance=0.0))
    return Pull(norm.uneven, norm.inverse.noise, norm.freedom, alone, norm.count)


def _divided(norm: _Norm) -> Divided:
    """What a norm of each position by itself makes of a gradient."""
    return Divided(norm.signal.shape.sizes, norm.centre.size, norm.freedom, norm.count, norm.ratio, norm.centred)


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


def _levelled(signal: Signal, centre: Centre, variance: float) -> float:
    """The factor on what positions have of their own in all examples, as units that have more have a larger variance.

    Formula: E b/(b + w) over its mean share β, b = β·χ²_d/d for d + 1 positions, w = 1 - β from many examples
    """
    positions = signal.shape.num_positions
    if not centre.across_examples or signal.placed <= 0 or variance <= 0:
        return 1.0
    share = min(1.0, (signal.by_place[0] - centre.across) / variance)
    return mean_share(max(0.0, share), positions - 1)
