"""The truncated normal law: its moments, its bounds, its distribution function and how to draw from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch.special import ndtr, ndtri

from modelforge.inits.laws import transforms
from modelforge.inits.laws.law import Drawn

LEAST_MASS = 1e-6
"""The least share of the normal law that may be kept: its quantiles are exact in float64 down to here."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The standard normal law cut to [low, high]."""

    low: float
    high: float
    mass: float
    """The share of the normal law that is kept."""
    mean: float
    std: float
    kurtosis: float

    @property
    def symmetric(self) -> bool:
        return self.low == -self.high


@dataclass(frozen=True, slots=True)
class TruncatedNormal(Drawn):
    """N(location, sigma²) cut to [low, high]; `mean` and `std` are those of the values that come out."""

    mean: float
    std: float
    low: float
    high: float
    location: float = field(repr=False)
    sigma: float = field(repr=False)
    unit: Unit = field(repr=False)
    """The same law in units of `sigma`."""

    @classmethod
    def between(cls, location: float, sigma: float, low: float, high: float) -> TruncatedNormal:
        """N(location, sigma²) cut to [low, high], which must keep `LEAST_MASS` of it."""
        unit = cut((low - location) / sigma, (high - location) / sigma)
        return cls(location + sigma * unit.mean, sigma * unit.std, low, high, location, sigma, unit)

    @classmethod
    def with_std(cls, mean: float, std: float, truncate: float = 2.0) -> TruncatedNormal:
        """N(mean, sigma²) cut to mean ± truncate·sigma, with the sigma for which `std` comes out.

        sigma = std / ratio, where ratio² = 1 - 2cφ(c) / (2Φ(c) - 1) is the variance of a standard normal cut to ±c.
        """
        # Below, float32 has no other values than those of a uniform law.
        reach = max(truncate, 1e-3)
        unit = cut_evenly(reach)
        sigma = std * (1 / unit.std)
        return cls(mean, std, mean - reach * sigma, mean + reach * sigma, mean, sigma, unit)

    @property
    def kurtosis(self) -> float:
        return self.unit.kurtosis

    @property
    def bounds(self) -> tuple[float, float]:
        return self.low, self.high

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """(Φ(z) - Φ(α)) / (Φ(β) - Φ(α)) with z, α, β = (x, low, high - location) / sigma."""
        x = np.clip(np.asarray(x, dtype=np.float64), self.low, self.high)
        z = torch.from_numpy(np.clip((x - self.location) / self.sigma, self.unit.low, self.unit.high))
        below = ndtr(torch.tensor(self.unit.low, dtype=torch.float64))
        return ((ndtr(z) - below) / self.unit.mass).numpy()

    def _transform(self) -> tuple[transforms.Transform, Any]:
        unit = self.unit
        if unit.symmetric:
            return transforms.normal, transforms.normal_numbers(self.location, self.sigma, unit.mass)
        if unit.mass < 0.2:
            # Far out the range of erf is too narrow to count in.
            return super(TruncatedNormal, self)._transform()
        start, stop = (math.erf(bound / math.sqrt(2)) for bound in (unit.low, unit.high))
        return transforms.cut_normal, (self.location, self.sigma, (start + stop) / 2, (stop - start) / 2)

    def _values(self, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
        if self.unit.symmetric:
            return self.location + self.sigma * transforms.normal_quantiles(x, rest, self.unit.mass)
        return super(TruncatedNormal, self)._values(x, rest)

    def _quantile(self, share: np.ndarray) -> np.ndarray:
        unit = self.unit
        # In the lower tail, where small probabilities are exact; mirrored, if the kept part lies in the upper one.
        side = 1.0 if unit.low + unit.high <= 0 else -1.0
        below = math.erfc(max(-side * unit.low, -side * unit.high) / math.sqrt(2)) / 2
        z = ndtri(torch.from_numpy(below + unit.mass * (share if side > 0 else 1 - share))).numpy()
        return self.location + self.sigma * side * z


@lru_cache(maxsize=256)
def cut(low: float, high: float) -> Unit:
    """The standard normal law cut to [low, high]."""
    # Beyond 12, no normal that float32 can draw is cut.
    low, high = (min(max(bound, -12.0), 12.0) for bound in (low, high))
    half, middle = (high - low) / 2, (high + low) / 2
    nodes, weights = np.polynomial.legendre.leggauss(128)
    # About the middle and in units of the width, so that nothing cancels where the bounds are close.
    density = weights * np.exp(-((middle + half * nodes) ** 2) / 2)
    total = float(density.sum())
    mass = half * total / math.sqrt(2 * math.pi)
    if not mass:
        return Unit(low, high, 0.0, middle, 0.0, 1.0)
    mean = float(density @ nodes) / total
    second, fourth = (float(density @ (nodes - mean) ** power) / total for power in (2, 4))
    return Unit(low, high, mass, middle + half * mean, half * math.sqrt(second), fourth / second**2)


@cache
def cut_evenly(reach: float) -> Unit:
    """The standard normal law cut to ±reach: from its upper half, so that the mean is 0 and the mass has all digits."""
    high = min(reach, 12.0)
    nodes, weights = np.polynomial.legendre.leggauss(128)
    u = (nodes + 1) / 2
    density = weights * np.exp(-((high * u) ** 2) / 2)
    second, fourth = (float(density @ u**power / density.sum()) for power in (2, 4))
    return Unit(-high, high, math.erf(high / math.sqrt(2)), 0.0, high * math.sqrt(second), fourth / second**2)
