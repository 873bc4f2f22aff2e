"""Sums of signals, and of the gradients of a tensor that several layers read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import sqrt

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.joined import MOST_DOUBTFUL, summed_back
from modelforge.signal.scatter import lognormal
from modelforge.signal.value import FLAT, Gradient, Profile, Signal


def summed_drift(parts: Sequence[tuple[float, Signal | Gradient]]) -> tuple[float, float]:
    """Drift and noise of a sum of energies: drifts may have one cause and add up, noises have many.

    Args:
        parts: Each energy with what is known of it.
    """
    total = sum(energy for energy, _ in parts)
    if total <= 0:
        return 0.0, 0.0
    drift = sum(energy / total * sqrt(part.drift) for energy, part in parts) ** 2
    noise = sum((energy / total) ** 2 * part.noise for energy, part in parts)
    return drift, noise


def noise_of_products(signals: Sequence[Signal]) -> float:
    """Relative variance of the energy of a sum by the products of its parts, whose mean alone is in the energy.

    Formula: Var 2·Σ a·b over n units = 4/n·(E a a′·E b b′ - (E a·E b)²), a mean over pairs of elements of a unit

    Args:
        signals: What is added up; no part depends on another, and all have one shape.
    """
    total = sum(signal.second for signal in signals)
    if total <= 0:
        return 0.0
    return 4 * sum(_of_product(one, other) for one, other in combinations(signals, 2)) / total**2


def _of_product(one: Signal, other: Signal) -> float:
    """Variance of the mean of the products of two signals' elements."""
    shape, chance = one.shape, sqrt(one.chance * other.chance)

    def both(first: float, second: float) -> float:
        rest = max(0.0, one.second**2 - first**2) * max(0.0, other.second**2 - second**2)
        return first * second + chance * sqrt(rest)

    across = one.over_places(*(both(*pair) for pair in zip(one.by_place, other.by_place, strict=True)))
    fewer = shape.fewer(sqrt(one.swing * other.swing))
    products = one.overlap(one.second * other.second, both(one.along, other.along), across, fewer)
    return max(0.0, products - (one.mean * other.mean) ** 2) / shape.num_units


def mixed_profile(parts: Sequence[tuple[float, Profile]], sizes: tuple[int, ...]) -> Profile:
    """The profile of a sum of energies."""
    axes = {axis for _, profile in parts for axis in profile}
    total = sum(energy for energy, _ in parts)
    if total <= 0 or not axes:
        return FLAT
    flat = {axis: np.ones(sizes[axis]) for axis in axes}
    return FrozenDict(
        {
            axis: sum((energy / total * profile.get(axis, flat[axis]) for energy, profile in parts), 0 * flat[axis])
            for axis in sorted(axes)
        }
    )


def summed(gradients: list[Gradient], signal: Signal | None) -> Gradient:
    """The gradient of a tensor that several layers read: energies add up.

    Args:
        gradients: From each layer.
        signal: The tensor; None where it is not known.
    """
    if len(gradients) == 1:
        return gradients[0]
    sizes = () if signal is None else signal.shape.sizes
    gradients = [_together(one, gradients, signal) for one in gradients]
    drift, noise = summed_drift([(one.energy, one) for one in gradients])
    total = sum(one.energy for one in gradients)
    found = Gradient(
        total,
        sum(one.along for one in gradients),
        sum(one.across for one in gradients),
        drift,
        noise,
        max(one.chance for one in gradients),
        sum(one.tilt * one.energy for one in gradients) / total if total else 1.0,
        mixed_profile([(one.energy, one.profile) for one in gradients], sizes),
        mixed_profile([(abs(one.along), one.later) for one in gradients], sizes),
        level=max(gradients, key=lambda one: one.energy).level,
        lift=sum(one.lift * one.energy for one in gradients) / total if total else 0.0,
    )
    known = sum(one.scatter is not None for one in gradients)
    if signal is None or total == 0 or not 0 < known <= MOST_DOUBTFUL:
        return found
    scatter = summed_back([(one.energy / total, one.by_example(signal.shape)) for one in gradients])
    drift, lift = lognormal(scatter.log_of_mean(signal.by_example(), signal.shape.num_examples))
    return replace(found, drift=drift, lift=lift, scatter=scatter)


def _together(gradient: Gradient, all_of_them: list[Gradient], signal: Signal | None) -> Gradient:
    """The gradient by weights whose sum a norm divides by its size: what takes that back is the sum of all of them."""
    if signal is None or gradient.taken is None:
        return gradient
    pull, fan_in = gradient.taken
    others = [one.taken[0].share for one in all_of_them if one.taken and one.taken[0].origin is pull.origin]
    shares = pull.share, min(1.0, sum(others))
    factors = [pull.kept(fan_in, share, signal.chance, signal.held).factor for share in shares]
    return gradient.amplified(factors[1] / factors[0])
