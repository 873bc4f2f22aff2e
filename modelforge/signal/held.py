"""What norms around an activation make of it: they hold energies before it, and divide by those after it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from modelforge.core.matrix import Activation
from modelforge.inits.gains.statistics import differentiate
from modelforge.signal.inverse import Inverse
from modelforge.signal.moments import Pair, Single, first_two, over_energies, steep
from modelforge.signal.pull import Divided, Pull
from modelforge.signal.rule import Unpredictable
from modelforge.signal.value import LEAST, Gradient, Signal


def held_part(function: Activation, signal: Signal, correlation: float) -> tuple[float, float, float]:
    """What of Cov(φ², φ²), Cov(φ², φ′²) and Cov(φ′², φ′²) is not there where a norm holds energies of positions.

    By Mehler's formula, Σ a_k·b_k·ρᵏ over Hermite coefficients: without the second, and without the first if it holds
    means, too.

    Args:
        function: φ.
        signal: What it reads.
        correlation: ρ.
    """
    if signal.loose == 1:
        return 0.0, 0.0, 0.0
    values, slopes = first_two(function, signal.mean, signal.variance)

    def of(one: tuple[float, float], other: tuple[float, float]) -> float:
        first = one[0] * other[0] * correlation if signal.balanced else 0.0
        return (1 - signal.loose) * (first + one[1] * other[1] * correlation**2)

    return of(values, values), of(values, slopes), of(slopes, slopes)


def alike(function: Activation, signal: Signal, along: Pair, across: Pair) -> tuple[tuple[float, float], ...]:
    """Cov(φ², φ²) and Cov(φ′², φ′²), each for two positions of an example and for two examples."""
    held = [held_part(function, signal, signal.correlation(product)) for product in (signal.along, signal.across)]
    pairs = [
        (max(0.0, pair.squares - part[0]), max(0.0, pair.slope_squares - part[2]))
        for pair, part in zip((along, across), held, strict=True)
    ]
    return tuple(zip(*pairs, strict=True))


def loose_part(function: Activation, signal: Signal, one: Single) -> float:
    """The share of the relative variance of φ² over a position's units that is left where a norm holds their energy."""
    own = one.fourth - one.second**2
    return 1 - min(1.0, held_part(function, signal, 1.0)[0] / own) if own > 0 else 1.0


def before_norms(
    gradient: Gradient, function: Activation, signal: Signal, one: Single
) -> tuple[Inverse, Pull | None, Divided | None]:
    """What slopes make of the variances that norms after them divided by, and what is left of it before."""
    pull, divided = gradient.pull, gradient.divided
    power = one.growth * signal.variance / one.second if one.second else 0.0
    if pull is not None:
        count = signal.shape.num_positions * signal.shape.num_examples
        less = pull.share * steep(function, signal.mean, signal.variance, centred=True)
        factor, pull = pull.sloped(less / count, power)
        return Inverse(factor, 0.0), pull, None
    if divided is None or divided.sizes != signal.shape.sizes:
        return Inverse(1.0, 0.0), None, None
    less = steep(function, signal.mean, signal.variance, centred=divided.centred)
    held = held_part(function, signal, 1.0)[1] / (one.second * one.slope_second) if one.second else 0.0
    found = divided.sloped(less - held)
    return found, None, replace(divided, share=power * divided.share)


def realigned(aligned: float, function: Activation, signal: Signal, one: Single) -> float:
    """What slopes make of `Gradient.aligned`, as in `scatter`: a larger signal is another one after φ, too.

    Formula: r ← (r·p² + E x²φ′²/E φ² - p²)·E φ²/(E x²·E φ′²), p = d ln E φ²/d ln q
    """
    power = one.growth * signal.variance / one.second if one.second else 0.0
    second, _, slopes, _, moved, _ = over_energies(function, signal.mean, signal.variance, np.zeros(1))[:, 0]
    if not second or not slopes:
        return aligned
    return float((aligned * power**2 + moved / second - power**2) * second / (signal.second * slopes))


def refuse_zeros(function: Activation, second: float) -> None:
    """Refuses slopes of examples that are 0 by chance where they differ from others': the same ones have no gradient.

    Raises:
        Unpredictable: they differ.
    """
    slope = float(differentiate(function.function, torch.zeros(1, dtype=torch.float64))[0])
    if abs(slope**2 - second) > LEAST * second:
        raise Unpredictable("some examples are 0 before it, where its slope is another one")
