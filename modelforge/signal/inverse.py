"""What norms divide by: one over variances of few degrees of freedom, which is large where a variance is small."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

MANY = 60.0
"""Degrees of freedom from which on the first two moments of 1/v say all."""
FEWEST = 1.0
POINTS = 500
"""Points of each integral, on logarithmic grids."""
DRAWS, _MASSES = np.polynomial.hermite_e.hermegauss(9)
LIKELY = _MASSES / _MASSES.sum()
"""How likely each of these standard normal numbers is."""
TAIL = 30.0
"""Where e^-x counts as 0."""


@dataclass(frozen=True, slots=True)
class Inverse:
    """The mean over several of 1/(v + ε), as a number that scatters about its logarithm."""

    factor: float
    """The mean of the lognormal law with the mean and the variance of the logarithm."""
    noise: float
    """The variance of the logarithm."""


@dataclass(frozen=True, slots=True)
class Level:
    """Energies of positions after norms in series: (v + top)/(v + bottom), v ~ χ²/freedom."""

    freedom: float
    top: float
    bottom: float
    count: float
    """Positions."""
    units: int = 1
    """How many units of a position a norm divides by one number."""

    def raised(self, more: float) -> Level:
        """The same with an energy added that is equal everywhere, `more` times their mean; in units of its own.

        Formula: (v + t)/(v + b) + o = (1 + o)·(v + (t + o·b)/(1 + o))/(v + b)
        """
        added = more * self.mean.factor
        return replace(self, top=(self.top + added * self.bottom) / (1 + added))

    @property
    def mean(self) -> Inverse:
        """Their mean over positions."""
        found = inverse(self.freedom, self.count, self.bottom)
        logs = math.log(found.factor) - found.noise / 2 + math.sqrt(found.noise) * DRAWS
        logs = np.log(np.maximum(1 + (self.top - self.bottom) * np.exp(logs), math.exp(-TAIL)))
        mean = float(logs @ LIKELY)
        noise = float((logs - mean) ** 2 @ LIKELY)
        return Inverse(math.exp(mean + noise / 2), noise)


def inverse(freedom: float, count: float, eps: float = 0.0, power: int = 1) -> Inverse:
    """The mean over `count` independent variances v ~ χ²/freedom, whose mean is 1, of 1/(v + ε)^power.

    For two degrees of freedom and fewer, E 1/v does not exist: the smallest v of all makes most of the sum S. With
    W ~ Exp(1), P(W/S > u) = E e^-uS = (E e^(-u/(v + ε)))^count, and ln S = ln W - ln W/S has all moments.

    Formula: E 1/v = d/(d - 2), Var 1/v = 2·d²/((d - 2)²·(d - 4)) for d degrees of freedom
    """
    if freedom >= MANY and power == 1:
        pull = 2 / freedom / (1 + eps) ** 2
        return Inverse((1 + pull / (1 - pull)) / (1 + eps), pull / max(1.0, count))
    return _inverse(float(f"{max(FEWEST, freedom):.3g}"), float(f"{max(1.0, count):.3g}"), float(f"{eps:.3g}"), power)


def mean_share(share: float, freedom: float) -> float:
    """E b/(b + w) in units of β, b = β·χ²_d/d and w = 1 - β.

    Formula: ∫ (1 + 2tβ/d)^(-d/2 - 1) e^(-t(1 - β)) dt
    """
    if share == 0:
        return 1.0
    log_t = np.linspace(math.log(1e-6), math.log(1e6), 2 * POINTS)
    t = np.exp(log_t)
    inside = np.exp(-(freedom / 2 + 1) * np.log1p(2 * t * share / freedom) - t * (1 - share))
    return float(np.trapezoid(inside * t, log_t))


@lru_cache(maxsize=512)
def _inverse(freedom: float, count: float, eps: float, power: int) -> Inverse:
    low = -2 / freedom * (math.log(count) + TAIL / 2)
    log_v = np.linspace(low, math.log(1 + 12 * math.sqrt(2 / freedom) + 2 * TAIL / freedom), POINTS)
    weights = np.exp(freedom / 2 * (log_v - np.exp(log_v) + 1))
    weights /= weights.sum()
    x = (np.exp(log_v) + eps) ** -power
    # ln u from where no sum reaches W to where every sum does
    log_u = np.linspace(-math.log(count * x.max()) - TAIL, -math.log(count * x.min()) + math.log(TAIL) + 8, 2 * POINTS)
    missing = -np.expm1(-np.exp(np.minimum(log_u[:, None] + np.log(x), 700.0))) @ weights
    survival = np.exp(count * np.log1p(-np.minimum(missing, 1 - 1e-15)))
    density = -np.diff(survival)
    middle = (log_u[1:] + log_u[:-1]) / 2
    density /= density.sum()
    mean = float(density @ middle)
    variance = float(density @ (middle - mean) ** 2) - math.pi**2 / 6
    log_mean = -np.euler_gamma - mean - math.log(count)
    variance = max(0.0, variance)
    return Inverse(math.exp(log_mean + variance / 2), variance)
