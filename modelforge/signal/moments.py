"""What an elementwise function does to normal numbers: moments of values and slopes, of one number and of a pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from modelforge.core.matrix import Activation
from modelforge.inits.gains.quadrature import expectations
from modelforge.inits.gains.statistics import differentiate, evaluate

REACH = 8.0
NODES = 240
"""Points a dimension for a pair of numbers: the trapezoid rule, whose errors at a kink average out over the other.
An even number has no point at 0, where most kinks and steps are."""
MOST_STEPS = 200
STEADY = 1e-6
SAME = 1e-9
"""A relative difference that rounding makes."""
MOST_LEAN = 1.0
"""Beyond that skewness the series has parts below 0."""
DIGITS = 10
"""Significant digits to which moments of what arrives count as equal, so that layers alike are computed once."""
SCALES = (1e-30, 1e-3, 7.0, 1e30)
"""At which φ(s·x) = s·φ(x) is tried."""


@dataclass(frozen=True, slots=True)
class Single:
    """Moments of φ(x), x ~ N(mean, variance)."""

    mean: float
    second: float
    third: float
    fourth: float
    slope_second: float
    """E φ′²."""
    slope_fourth: float
    growth: float
    """d E φ² / d variance."""
    slope_growth: float
    """d E φ′² / d variance."""

    def stretched(self, square: float) -> Single:
        """The moments of s·x, where φ(s·x) = s·φ(x), by s²."""
        size = math.sqrt(square)
        return replace(
            self,
            mean=self.mean * size,
            second=self.second * square,
            third=self.third * square * size,
            fourth=self.fourth * square * square,
            slope_growth=self.slope_growth / square,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """Moments of φ at two normal numbers that are correlated."""

    product: float
    """E φ φ."""
    slope_product: float
    """E φ′ φ′."""
    squares: float
    """Cov(φ², φ²)."""
    slope_squares: float
    """Cov(φ′², φ′²)."""

    def stretched(self, square: float) -> Pair:
        """The moments at s·x, where φ(s·x) = s·φ(x), by s²."""
        return replace(self, product=self.product * square, squares=self.squares * square * square)


def single(activation: Activation, mean: float, variance: float, lean: float = 0.0) -> Single:
    """The moments of an activation, by quadrature that is exact at kinks.

    Args:
        activation: The function φ.
        mean: Of x.
        variance: Of x.
        lean: Skewness of x, which is normal but for it: the density gains the factor 1 + lean·(z³ - 3z)/6
            (Gram-Charlier series).
    """
    lean = round(float(np.clip(lean, -MOST_LEAN, MOST_LEAN)), 4)
    unit = _unit(activation.function, variance)
    one = _single(activation.function, _rounded(mean / math.sqrt(unit)), _rounded(variance / unit), lean)
    return one if unit == 1 else one.stretched(unit)


def over_energies(activation: Activation, mean: float, variance: float, logs: np.ndarray) -> np.ndarray:
    """Moments of an activation φ at the normal numbers x, each scaled by several factors.

    Args:
        activation: The function φ.
        mean: The mean of x.
        variance: The variance of x.
        logs: 2 ln f for each factor f by which both the mean and the standard deviation of x are multiplied.

    Returns:
        Six rows, with one column for each factor: E φ², E φ⁴, E φ′², E φ′⁴, E x²φ′² and E xφφ′.
    """
    z, weights = normal_points()
    x = np.exp(logs / 2)[:, None] * (mean + math.sqrt(variance) * z)
    value, slope = (part.reshape(x.shape) for part in _both(activation.function, x.ravel()))
    return np.stack([value**2, value**4, slope**2, slope**4, (x * slope) ** 2, x * slope * value]) @ weights


def pair(activation: Activation, mean: float, variance: float, correlation: float) -> Pair:
    """The moments of an activation at two numbers (the dual activation, Daniely et al. 2016, arXiv:1602.05897)."""
    correlation = round(float(np.clip(correlation, -1, 1)), DIGITS)
    unit = _unit(activation.function, variance)
    both = _pair(activation.function, _rounded(mean / math.sqrt(unit)), _rounded(variance / unit), correlation)
    return both if unit == 1 else both.stretched(unit)


def steeper(
    first: Activation, mean: float, variance: float, second: Activation, rest_mean: float, rest: float
) -> float:
    """E φ₁′(u)²·φ₂′(φ₁(u) + r)² over the product of both means; u and r are normal.

    Args:
        first: φ₁.
        mean: Of u.
        variance: Of u.
        second: φ₂.
        rest_mean: Of r.
        rest: Variance of r.
    """
    numbers = [_rounded(number) for number in (mean, variance, rest_mean, rest)]
    return _steeper(first.function, second.function, *numbers)


@lru_cache(maxsize=1024)
def _steeper(
    first: Callable[[Tensor], Tensor],
    second: Callable[[Tensor], Tensor],
    mean: float,
    variance: float,
    rest_mean: float,
    rest: float,
) -> float:
    z, weights = normal_points()
    value, slope = _both(first, mean + math.sqrt(variance) * z)
    total = value[:, None] + rest_mean + math.sqrt(rest) * z
    after = _both(second, total.ravel())[1].reshape(total.shape) ** 2 @ weights
    apart = (weights @ slope**2) * (weights @ after)
    return float(weights @ (slope**2 * after) / apart) if apart else 1.0


def held_variance(activation: Activation, mean: float, variance: float) -> float:
    """n times the relative variance of the variance of φ over n numbers whose own mean and variance are fixed.

    Formula: (Var ψ - Cov(ψ, z)² - Cov(ψ, z²)²/2) / (Var φ)², ψ = φ² - 2·φ·E φ, z ~ N(0, 1)
    """
    return _held_variance(activation.function, _rounded(mean), _rounded(variance))


@lru_cache(maxsize=256)
def _held_variance(function: Callable[[Tensor], Tensor], mean: float, variance: float) -> float:
    z, weights = normal_points()
    value = _both(function, mean + math.sqrt(variance) * z)[0]
    value = value - weights @ value
    spread = float(weights @ value**2)
    influence = value**2 - spread
    free = weights @ influence**2 - (weights @ (influence * z)) ** 2 - (weights @ (influence * z**2)) ** 2 / 2
    return max(0.0, float(free)) / spread**2 if spread else 0.0


def steep(activation: Activation, mean: float, variance: float, *, centred: bool) -> float:
    """By how much more energy φ has where its slopes count: E φ′²·φ²/(E φ′²·E φ²) - 1; about its mean if centred."""
    return _steep(activation.function, _rounded(mean), _rounded(variance), centred)


@lru_cache(maxsize=1024)
def _steep(function: Callable[[Tensor], Tensor], mean: float, variance: float, centred: bool) -> float:
    z, weights = normal_points()
    value, slope = _both(function, mean + math.sqrt(variance) * z)
    energy, square = (value - weights @ value if centred else value) ** 2, slope**2
    apart = (weights @ energy) * (weights @ square)
    return float(weights @ (energy * square) / apart) - 1 if apart else 0.0


def first_two(activation: Activation, mean: float, variance: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """The first two Hermite coefficients of φ², and those of φ′²: E f(x)·z and E f(x)·(z² - 1)/√2, x = mean + √q·z."""
    return _first_two(activation.function, _rounded(mean), _rounded(variance))


@lru_cache(maxsize=1024)
def _first_two(
    function: Callable[[Tensor], Tensor], mean: float, variance: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    z, weights = normal_points()
    value, slope = _both(function, mean + math.sqrt(variance) * z)
    first, second = weights * z, weights * (z**2 - 1) / math.sqrt(2)
    squares = value**2, slope**2
    values, slopes = ((float(first @ square), float(second @ square)) for square in squares)
    return values, slopes


def homogeneous(activation: Activation, mean: float, variance: float) -> float:
    """How near φ′(x)·x is to a multiple of φ(x) and a constant, as for ReLU: 1 less the share of it that is not."""
    return _homogeneous(activation.function, _rounded(mean), _rounded(variance))


@lru_cache(maxsize=256)
def _homogeneous(function: Callable[[Tensor], Tensor], mean: float, variance: float) -> float:
    z, weights = normal_points()
    value, slope = _both(function, mean + math.sqrt(variance) * z)
    moved, value = slope * (mean + math.sqrt(variance) * z), value - weights @ value
    whole, spread = weights @ moved**2, weights @ value**2
    if not whole or not spread:
        return 0.0
    rest = whole - (weights @ moved) ** 2 - (weights @ (moved * value)) ** 2 / spread
    return float(1 - max(0.0, rest) / whole)


def correlation_depth(activation: Activation, variance: float, gain: float) -> float | None:
    """Layers over which the correlation of two inputs comes e times as near to its fixed point c*.

    Formula: ξ = -1/ln χ, χ = σ_w²·E φ′φ′ at c*, where q·c* = σ_w²·E φφ + σ_b²; at c* = 1 where χ₁ ≤ 1
    Source: Schoenholz et al. 2017, arXiv:1611.01232

    Args:
        activation: φ.
        variance: q, that of what it reads, which the bias is taken to keep as it is.
        gain: σ_w².

    Returns:
        None where no bias keeps q, as σ_w²·E φφ alone is more; inf on the edge of chaos.
    """
    one = single(activation, 0.0, variance)
    chi, bias = gain * one.slope_second, variance - gain * one.second
    if bias < -SAME * variance:
        return None
    if chi > 1 + SAME:
        found = 0.5
        for _ in range(MOST_STEPS):
            before, found = found, (gain * pair(activation, 0.0, variance, found).product + bias) / variance
            if abs(found - before) < STEADY:
                break
        chi = gain * pair(activation, 0.0, variance, found).slope_product
    return math.inf if abs(chi - 1) < SAME else abs(1 / math.log(chi))


def normal_points() -> tuple[np.ndarray, np.ndarray]:
    """Points of a standard normal number, and how likely each is."""
    z = np.linspace(-REACH, REACH, NODES)
    weights = np.exp(-(z**2) / 2)
    return z, weights / weights.sum()


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _unit(function: Callable[[Tensor], Tensor], variance: float) -> float:
    """The variance in units of which moments are computed: its own, and so once for all, where φ has no scale."""
    return variance if variance > 0 and _has_no_scale(function) else 1.0


@lru_cache(maxsize=256)
def _has_no_scale(function: Callable[[Tensor], Tensor]) -> bool:
    """Whether φ(s·x) = s·φ(x) for every s > 0, as of ReLU."""
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    at_one = evaluate(function, x)
    return all(np.allclose(evaluate(function, scale * x), scale * at_one, rtol=1e-12, atol=0) for scale in SCALES)


@lru_cache(maxsize=4096)
def _single(function: Callable[[Tensor], Tensor], mean: float, variance: float, lean: float) -> Single:
    if variance <= 0:
        x = np.array([mean])
        (value,), (slope,) = _both(function, x)
        return Single(value, value**2, value**3, value**4, slope**2, slope**4, 0.0, 0.0)

    def integrand(x: np.ndarray) -> np.ndarray:
        value, slope = _both(function, mean + x)
        weight = (x**2 / variance - 1) / (2 * variance)  # d/dq of a normal density
        second, slope_second = value**2, slope**2
        z = x / math.sqrt(variance)
        leaning = 1 + lean * (z**3 - 3 * z) / 6
        some = [value, second, second * value, second**2, slope_second, slope_second**2]
        return np.stack([item * leaning for item in some] + [second * weight, slope_second * weight])

    return Single(*expectations(integrand, variance).tolist())


@lru_cache(maxsize=4096)
def _pair(function: Callable[[Tensor], Tensor], mean: float, variance: float, correlation: float) -> Pair:
    z, weights = normal_points()
    common, own = math.sqrt(abs(correlation)), math.sqrt(1 - abs(correlation))
    x = mean + math.sqrt(variance) * (common * z[:, None] + own * z)
    value, slope = (part.reshape(x.shape) for part in _both(function, x.ravel()))
    # Given what the two numbers share, they are independent; of opposite correlation, they share it with two signs.
    given = np.stack([value, slope, value**2, slope**2]) @ weights
    other = given if correlation >= 0 else given[:, ::-1]
    product, slope_product, squares, slope_squares = (given * other) @ weights
    second, slope_second = given[2:] @ weights
    return Pair(
        float(product), float(slope_product), float(squares - second**2), float(slope_squares - slope_second**2)
    )


def _both(function: Callable[[Tensor], Tensor], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = torch.from_numpy(np.ascontiguousarray(x))
    with torch.inference_mode(False):
        return evaluate(function, points), differentiate(function, points)
