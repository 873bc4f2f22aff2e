"""A law and a number of values → how far sums over a sound sample may lie off.

The bounds are Chernoff's, P(mean of g(x) >= t) <= exp(-n · sup(λt - log E exp(λ g(x)))), computed from the law itself:
they are sharp up to a factor for samples of every size, where bounds from a few moments are loose for small ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, isfinite, log, log1p
from typing import Any

import numpy as np

from modelforge.core.quoting import sentence, shortened
from modelforge.inits.laws.law import Distribution, Normal, Uniform
from modelforge.inits.laws.truncated_normal import TruncatedNormal

LOG_ODDS = 23.0
"""A sound sample leaves one bound with a probability of at most exp(-23) = 1e-10: all of a parameter's with 1e-8."""

_AGREE = 0.02
"""How far moments may lie from what a law states, in units of its standard deviation: cells are coarse."""
_ATTRIBUTES = ("mean", "std", "kurtosis", "bounds", "cdf", "draw_")
_CELLS = 400
_LAMBDAS = np.geomspace(1e-3, 1e2, 40)
"""Factors of the λ that would be best for a normal sum. Each λ gives a bound; the best of them is taken."""
_SLACK = 0.01
"""What cells are too coarse for, as a share of a bound."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Least and greatest means over a sound sample: of z, z², z³ and z⁴ for z = (x - mean) / std."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def limits(law: Distribution, count: int, odds: float = LOG_ODDS) -> Limits:
    """How far the moments of so many independent values may lie off."""
    return _limits(_standard(law), count, odds)


@lru_cache(maxsize=4096)
def _limits(law: Distribution, count: int, odds: float) -> Limits:
    z, mass = _kept(*_cells(law), count, odds)
    known = (0.0, 1.0, None, law.kurtosis)
    low, high = list[float](), list[float]()
    for power, moment in enumerate(known, start=1):
        values = z**power
        middle = float(mass @ values)
        # Cells have their middle in place of what is in them.
        error = abs(middle - moment) if moment is not None else 0.0
        up, down = _chernoff(values - middle, mass, odds / count), _chernoff(middle - values, mass, odds / count)
        low.append(middle - (1 + _SLACK) * down - error)
        high.append(middle + (1 + _SLACK) * up + error)
    return Limits(tuple(low), tuple(high))


def _chernoff(values: np.ndarray, mass: np.ndarray, rate: float) -> float:
    """The least t with sup(λt - log E exp(λ·values)) >= rate, for values of mean 0."""
    variance = float(mass @ values**2)
    if variance <= 0:
        return 0.0
    lambdas = np.sqrt(2 * rate / variance) * _LAMBDAS
    powers = lambdas[:, None] * values + np.log(mass)
    top = powers.max(axis=1)
    cumulants = top + np.log(np.exp(powers - top[:, None]).sum(axis=1))
    return float(((cumulants + rate) / lambdas).min())


def impossible(law: Distribution, count: float, least: float, greatest: float, error: float) -> str:
    """What of the extremes a sound sample does not have, in words; empty where all is well.

    The greatest of n values is below m with probability F(m)ⁿ, and above with n(1 - F(m)) at most.

    Args:
        law: What the values follow.
        count: How many independent values there are.
        least: The least of them.
        greatest: The greatest.
        error: By how much rounding may have moved them.
    """
    below = law.cdf(np.array([least + error, least - error, greatest - error, greatest + error]))
    under, over = float(below[0]), float(1 - below[2])
    if count * under < exp(-LOG_ODDS):
        return f"a value of {least:.6g}"
    if count * over < exp(-LOG_ODDS):
        return f"a value of {greatest:.6g}"
    if count * _log(1 - float(below[1])) < -LOG_ODDS:
        return f"no value below {least:.4g}"
    if count * _log(float(below[3])) < -LOG_ODDS:
        return f"no value above {greatest:.4g}"
    return ""


def same_value(law: Distribution) -> float:
    """About the greatest probability of one float32, of a law with a density: that two values are equal."""
    return max(2.0**-22, 2.0**-23 * (abs(law.mean) + law.std) / law.std)


def _log(probability: float) -> float:
    return log(probability) if probability > 0 else -inf


def misfit(law: Any) -> str:
    """What keeps something from being a law, in words: what it lacks, what is not a number, or that its distribution
    function has other moments than it states; empty where it is one."""
    if missing := [name for name in _ATTRIBUTES if not hasattr(law, name)]:
        named = ", ".join(f"`{name}`" for name in missing)
        return f"its `law` gives {shortened(repr(law))}, which is not a law: it has no {named}"
    for name in ("mean", "std", "kurtosis"):
        value = getattr(law, name)
        if not isinstance(value, int | float) or not isfinite(value) or (name == "std" and value < 0):
            must = "a finite number, not below 0" if name == "std" else "a finite number"
            return f"the `{name}` of its law must be {must}, but is {shortened(repr(value))}"
    if law.std == 0:
        return ""
    try:
        z, mass, _, _ = _cells(law)
        mean, square = float(mass @ z), float(mass @ z**2)
    # A registered scheme's own law may raise any error.
    except Exception as error:
        return f"the `bounds` or the `cdf` of its law cannot be used: {sentence(error)}"
    if abs(mean) <= _AGREE and abs(square - 1) <= _AGREE:
        return ""
    centre = law.mean + law.std * (mean if abs(mean) > _AGREE / 100 else 0.0)  # less is rounding
    found = f"mean {centre:.4g} and std {law.std * max(square - mean**2, 0.0) ** 0.5:.4g}"
    return f"its law states mean {law.mean:.4g} and std {law.std:.4g}, but by its `cdf` it has {found}"


@lru_cache(maxsize=1024)
def _standard(law: Distribution) -> Distribution:
    """The same shape with mean 0 and standard deviation 1, where it is known, so that it is computed once."""
    match law:
        case Normal():
            return Normal(0.0, 1.0)
        case Uniform():
            return Uniform(-(3**0.5), 3**0.5)
        case TruncatedNormal() if law.unit.symmetric:
            return TruncatedNormal.with_std(0.0, 1.0, law.unit.high)
        case _:
            return law


@lru_cache(maxsize=256)
def _cells(law: Distribution) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The middles of cells in units of the standard deviation, fine where most values are, and the mass of each; the
    mass up to its upper end, and from its lower end on."""

    def below(z: Any) -> np.ndarray:
        return law.cdf(law.mean + law.std * np.asarray(z, dtype=np.float64))

    if law.bounds is not None:
        first, last = ((bound - law.mean) / law.std for bound in law.bounds)
        ends = np.linspace(first - 1e-9, last + 1e-9, _CELLS + 1)
    else:
        width = 9.0
        while width < 1e6 and float(below([-width])[0] + 1 - below([width])[0]) > 1e-16:
            width *= 2
        ends = np.sinh(np.linspace(-1, 1, _CELLS + 1) * np.arcsinh(width))
    mass = below(ends)
    return (ends[1:] + ends[:-1]) / 2, np.diff(mass), mass[1:], 1 - mass[:-1]


def _kept(
    z: np.ndarray, mass: np.ndarray, up_to: np.ndarray, from_on: np.ndarray, count: int, odds: float
) -> tuple[np.ndarray, np.ndarray]:
    """The cells that a sample of this size may reach: beyond, its extremes are `impossible`."""
    reached = (np.minimum(up_to, from_on) * count >= exp(-odds)) & (mass > 0)
    return z[reached], mass[reached]


def several(odds: float, count: int) -> float:
    """The odds for each of so many samples, so that all of them keep `odds`."""
    return odds + log1p(max(count - 1, 0))
