"""Layers in which several signals meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate
from math import prod, sqrt

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.elements import Part, side_by_side
from modelforge.signal.inverse import Level
from modelforge.signal.joined import Joined, joined
from modelforge.signal.laws import part_of
from modelforge.signal.moments import steeper
from modelforge.signal.rule import Index, Node, Passed, Unpredictable, register_signal
from modelforge.signal.rules.repeated import each_once, power, times
from modelforge.signal.sums import mixed_profile, noise_of_products, summed_drift
from modelforge.signal.value import Gradient, Profile, Signal


def _known(node: Node) -> list[Signal]:
    signals = [signal for signal in node.signals if signal is not None]
    if len(signals) < len(node.signals):
        raise Unpredictable("it reads whole numbers, or what is not known")
    return signals


@register_signal("Add", keeps_shared=True)
@each_once(times)
def add(node: Node) -> Passed:
    """Signals that do not depend on each other add up their energies.

    Formula: E y² = Σ E xᵢ² + 2·Σ E xᵢ·E xⱼ; E g² goes to each
    Source: Yang and Schoenholz 2017, arXiv:1712.08969
    """
    signals = _known(node)
    if len({signal.shape.sizes for signal in signals}) > 1:
        raise Unpredictable("it adds tensors of different shapes")
    mean = sum(signal.mean for signal in signals)
    crossed = mean**2 - sum(signal.mean**2 for signal in signals)
    total = sum(signal.second for signal in signals) + crossed
    drift, noise = summed_drift([(signal.second, signal) for signal in signals])
    made = _joined(signals, total)
    there = [signal for signal in signals if signal.second]
    alone = there[0] if len(there) == 1 else None
    parts = [(signal.second / total if total else 0.0, signal) for signal in signals]
    lift = sum(share * signal.lift for share, signal in parts)
    if made is not None:
        drift, lift = made.made.drift_of_mean(signals[0].shape.num_examples, noise)
    output = replace(
        signals[0],
        mean=mean,
        second=total,
        along=sum(signal.along for signal in signals) + crossed,
        across=sum(signal.across for signal in signals) + crossed,
        placed=sum(signal.placed for signal in signals),
        drift=drift,
        noise=noise + noise_of_products(signals),
        lift=lift,
        chance=sum(share * sqrt(signal.chance) for share, signal in parts) ** 2,
        swing=sum(share**2 * signal.swing for share, signal in parts),
        loose=1.0,
        balanced=False,
        third=sum(signal.third for signal in signals),
        level=_level(signals),
        tail=2 + sum(share**2 * (signal.tail - 2) for share, signal in parts),
        weight_gain=None,
        held=None,
        preactivation=alone.preactivation if alone else None,
        elements=alone.elements if alone else None,
        scatter=made and made.made,
        profile=mixed_profile([(signal.second, signal.profile) for signal in signals], signals[0].shape.sizes),
        later=mixed_profile([(abs(signal.along), signal.later) for signal in signals], signals[0].shape.sizes),
        table=next((signal.table for signal in signals if signal.table), None),
    )

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        gradient = gradients[()]
        return tuple(_of_part(gradient, index, signal, output, made) for index, signal in enumerate(signals))

    return Passed({(): output}, back)


def _joined(signals: list[Signal], total: float) -> Joined | None:
    """How examples of a sum differ, where some lack a part of it, or lacked one before."""
    if not total or not any(signal.scatter is not None and signal.scatter.lacking for signal in signals):
        return None
    return joined([(signal.second / total, signal.by_example()) for signal in signals])


def _of_part(gradient: Gradient, index: int, part: Signal, total: Signal, made: Joined | None) -> Gradient:
    """The gradient of one part of a sum: what a norm of the sum does to it, it does to its share of the sum."""
    share = min(1.0, part.variance / total.variance) if total.variance > 0 else 0.0
    pull = gradient.pull
    return replace(
        gradient,
        tilt=_tilt(gradient, part),
        through=None,
        radial=None,
        scatter=made and gradient.scatter and made.back(gradient.scatter, index),
        turned=0.0,
        aligned=gradient.aligned and 1 + share * (gradient.aligned - 1),
        square=share * gradient.square,
        pull=pull and replace(pull, share=share * pull.share),
        divided=gradient.divided and replace(gradient.divided, share=share * gradient.divided.share),
        level=gradient.level if part.level else None,
    )


def _level(signals: list[Signal]) -> Level | None:
    """The energies by position of a sum, where those of one part are known and the others' are the same everywhere."""
    known = [signal for signal in signals if signal.level]
    if len(known) != 1 or known[0].second <= 0:
        return None
    level, others = known[0].level, sum(signal.second for signal in signals) - known[0].second
    return level and level.raised(others / known[0].second)


def _tilt(gradient: Gradient, part: Signal) -> float:
    """How much steeper the activation that made a part is where the one after the sum is steep.

    Formula: E φ₁′(u)²·φ₂′(φ₁(u) + r)² / (E φ₁′² · E φ₂′²), r what else is in the sum
    """
    before, after = part.preactivation, gradient.through
    if before is None or after is None:
        return gradient.tilt
    rest = max(0.0, after.variance - part.variance)
    return gradient.tilt * steeper(
        before.activation, before.mean, before.variance, after.activation, after.mean - part.mean, rest
    )


@register_signal("Concat")
def concat(node: Node) -> Passed:
    """Signals side by side: moments are means by size; E g² goes to each.

    Formula: E (y - m)³ = E ((xᵢ - mᵢ)³ + 3·Var xᵢ·dᵢ + dᵢ³), dᵢ = mᵢ - m, over all parts i; E y⁴ the mean of E xᵢ⁴
    """
    signals = _known(node)
    axis = node.layer.arguments["dim"] % len(signals[0].shape.sizes)
    shape = node.shape(signals[0].shape.units)
    sizes = [signal.shape.sizes[axis] for signal in signals]
    ends = [*accumulate(sizes)]
    total = sum(sizes)
    over_units = axis == signals[0].shape.units

    def mixed(values: list[float]) -> float:
        return sum(size / total * value for size, value in zip(sizes, values, strict=True))

    drift, noise = summed_drift([(size * signal.second, signal) for size, signal in zip(sizes, signals, strict=True)])

    def others(profile: Profile) -> Profile:
        return {key: it for key, it in profile.items() if key != axis and len(it) == shape.sizes[key]}

    profiles = [(size * one.second, others(one.profile)) for size, one in zip(sizes, signals, strict=True)]
    later = [(size * abs(one.along), others(one.later)) for size, one in zip(sizes, signals, strict=True)]
    mean, second = mixed([signal.mean for signal in signals]), mixed([signal.second for signal in signals])
    shares = [energy / (total * second) if second else 0.0 for energy, _ in profiles]
    squares = [signal.second**2 for signal in signals]
    # Of elements of one position: those of a mixture of units, or of one part.
    square = second**2 if over_units else mixed(squares)
    fourth = mixed([(signal.tail + 1) * it for signal, it in zip(signals, squares, strict=True)])
    output = Signal(
        shape,
        mean,
        second,
        along=mixed([signal.along for signal in signals]),
        across=mixed([signal.across for signal in signals]),
        placed=mixed([signal.placed for signal in signals]),
        drift=drift,
        noise=noise,
        lift=sum(share * signal.lift for share, signal in zip(shares, signals, strict=True)),
        chance=max(signal.chance for signal in signals),
        own_chance=max(signal.own_chance for signal in signals),
        swing=_swing(signals, sizes, second, over_units=over_units),
        third=mixed([one.third + 3 * one.variance * (one.mean - mean) + (one.mean - mean) ** 3 for one in signals]),
        tail=fourth / square - 1 if second else 2.0,
        near=mixed([signal.near for signal in signals]),
        profile=FrozenDict({**mixed_profile(profiles, shape.sizes), **({} if over_units else _steps(signals, axis))}),
        later=mixed_profile(later, shape.sizes),
    )
    if over_units:
        parts = [_part(one, size) for one, size in zip(signals, sizes, strict=True)]
        output = replace(output, elements=side_by_side(parts, output.lean))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        gradient = replace(gradients[()], radial=None, level=None)
        return tuple(part_of(gradient, axis, end - size, size) for end, size in zip(ends, sizes, strict=True))

    return Passed({(): output}, back)


def _part(signal: Signal, size: int) -> Part:
    """A part of units side by side, of which each has a mean and a variance over examples and positions."""
    variance = signal.second - signal.overlap(signal.second, signal.along, signal.across)
    return Part(size, variance, signal.lean_of_unit(variance), signal.elements)


def _steps(signals: list[Signal], axis: int) -> Profile:
    """The energies of positions side by side."""
    rows = [one.second * one.profile.get(axis, np.ones(one.shape.sizes[axis])) for one in signals]
    row = np.concatenate(rows)
    return {axis: row / row.mean()} if axis != signals[0].shape.batch and (row != row[0]).any() else {}


def _swing(signals: list[Signal], sizes: list[int], second: float, *, over_units: bool) -> float:
    """The swing of signals side by side: each position has a part of all units, or the units of one part."""
    total = sum(sizes)
    if second == 0 or total == 0:
        return 0.0
    parts = [(size / total, signal.second / second, signal.swing) for size, signal in zip(sizes, signals, strict=True)]
    if over_units:
        return sum((share * energy) ** 2 * swing for share, energy, swing in parts)
    whole = sum(share * energy**2 for share, energy, _ in parts)  # which differs along the profile
    return sum(share * energy**2 * swing for share, energy, swing in parts) / whole


@register_signal("Multiply")
@each_once(power)
def multiply(node: Node) -> Passed:
    """A product of signals that do not depend on each other.

    Formula: E y² = Π E xᵢ², and pairs of each kind alike; E g² ← E g²·Π of the others' E x²
    """
    signals = _known(node)
    sizes = node.sizes()
    whole = next((signal for signal in signals if signal.shape.sizes == sizes), None)
    if whole is None:
        raise Unpredictable("none of its factors has the shape of the product")
    factors = [_as_large(signal, whole) for signal in signals]
    count = whole.shape.num_units
    spread = prod(1 + count * factor.noise for factor in factors) - 1
    at_one, at_two = (prod(pair) for pair in zip(*(factor.by_place for factor in factors), strict=True))
    output = whole.remade(
        whole.shape,
        mean=prod(factor.mean for factor in factors),
        second=prod(factor.second for factor in factors),
        along=prod(factor.along for factor in factors),
        across=whole.over_places(at_one, at_two),
        placed=at_one - at_two,
        lift=sum(factor.lift for factor in factors),
        drift=sum(sqrt(factor.drift) for factor in factors) ** 2,
        noise=spread / count,
        chance=max(factor.chance for factor in factors),
        own_chance=max(factor.own_chance for factor in factors),
        swing=sum(factor.swing for factor in factors),
        third=0.0,
        tail=prod(1 + factor.tail for factor in factors) - 1,
    )

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        return tuple(_back(gradients[()], factors, index, signals[index]) for index in range(len(signals)))

    return Passed({(): output}, back)


def _as_large(signal: Signal, whole: Signal) -> Signal:
    """A factor that is the same at all positions, as large as the product."""
    if signal.shape.sizes == whole.shape.sizes:
        return signal
    if signal.shape.num_units != whole.shape.num_units or signal.shape.num_positions != 1:
        raise Unpredictable("it multiplies tensors of different shapes")
    return replace(signal, shape=whole.shape, along=signal.second)


def _back(gradient: Gradient, factors: list[Signal], index: int, before: Signal) -> Gradient:
    others = [factor for place, factor in enumerate(factors) if place != index]
    energy = gradient.energy * prod(other.second for other in others)
    along = gradient.along * prod(other.along for other in others)
    positions = factors[index].shape.num_positions // before.shape.num_positions
    if positions > 1:
        energy, along = positions * (energy + (positions - 1) * along), 0.0
    drift = (sqrt(gradient.drift) + sum(sqrt(other.drift) for other in others)) ** 2
    noise = gradient.noise + sum(other.noise for other in others) + 2 / before.shape.num_units * gradient.noise
    lift = gradient.lift + sum(other.lift for other in others)
    back = replace(
        gradient, energy=energy, along=along, drift=drift, noise=noise, lift=lift, turned=0.0, pull=None, divided=None
    )
    return replace(back, tilt=1.0, level=None, through=None, scatter=None)
