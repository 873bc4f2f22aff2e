"""A normal law cut at two given bounds: where torch's `trunc_normal_` cuts, whatever the standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch.special import ndtr, ndtri

from modelforge.inits.laws import transforms as words
from modelforge.inits.laws.law import Drawn, within

LEAST_MASS = 1e-6
"""The least share of the normal law that may be kept: its quantiles are exact in float64 down to here."""


@dataclass(frozen=True, slots=True)
class CutNormal(Drawn):
    """N(location, sigma²) cut to [low, high], which must keep `LEAST_MASS` of it; nothing is corrected."""

    location: float
    sigma: float
    low: float
    high: float

    @property
    def mass(self) -> float:
        """The share of the normal law that is kept."""
        return self._unit.mass

    @property
    def mean(self) -> float:
        return self.location + self.sigma * self._unit.mean

    @property
    def std(self) -> float:
        return self.sigma * self._unit.std

    @property
    def kurtosis(self) -> float:
        return self._unit.kurtosis

    @property
    def bounds(self) -> tuple[float, float]:
        return self.low, self.high

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """(Φ(z) - Φ(α)) / (Φ(β) - Φ(α)) with z, α, β = (x, low, high - location) / sigma."""
        x = np.clip(np.asarray(x, dtype=np.float64), self.low, self.high)
        z = torch.from_numpy((x - self.location) / self.sigma)
        below = ndtr(torch.tensor(self._unit.low, dtype=torch.float64))
        return ((ndtr(z) - below) / self.mass).numpy()

    def _transform(self) -> tuple[words.Transform, Any]:
        unit = self._unit
        if unit.low == -unit.high:
            return words.normal, words.normal_numbers(self.location, self.sigma, unit.mass)
        if unit.mass < 0.2:
            # Far out the range of erf is too narrow to count in.
            return _quantiles, (self.location, self.sigma, unit)
        start, stop = (math.erf(bound / math.sqrt(2)) for bound in (unit.low, unit.high))
        return words.cut_normal, (self.location, self.sigma, (start + stop) / 2, (stop - start) / 2)

    def _values(self, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
        unit = self._unit
        if unit.low == -unit.high:
            return self.location + self.sigma * words.normal_quantiles(x, rest, unit.mass)
        return _from_below(np.where(x < 0, rest / 2, 1 - rest / 2), self.location, self.sigma, unit)

    def _clip(self) -> tuple[np.float32, np.float32]:
        return within(self.low, self.high)

    @property
    def _unit(self) -> _Unit:
        return _cut((self.low - self.location) / self.sigma, (self.high - self.location) / self.sigma)


@dataclass(frozen=True, slots=True)
class _Unit:
    """The standard normal law cut to [low, high]."""

    low: float
    high: float
    mass: float
    mean: float
    std: float
    kurtosis: float


@lru_cache(maxsize=256)
def _cut(low: float, high: float) -> _Unit:
    # Beyond 12, no normal that float32 can draw is cut.
    low, high = (min(max(bound, -12.0), 12.0) for bound in (low, high))
    nodes, weights = np.polynomial.legendre.leggauss(128)
    # About the middle and in units of the width, so that nothing cancels where the bounds are close.
    half, middle = (high - low) / 2, (high + low) / 2
    density = weights * np.exp(-((middle + half * nodes) ** 2) / 2)
    total = float(density.sum())
    mass = half * total / math.sqrt(2 * math.pi)
    if not mass:
        return _Unit(low, high, 0.0, middle, 0.0, 1.0)
    mean = float(density @ nodes) / total
    second, fourth = (float(density @ (nodes - mean) ** power) / total for power in (2, 4))
    return _Unit(low, high, mass, middle + half * mean, half * math.sqrt(second), fourth / second**2)


def _quantiles(word: np.ndarray, numbers: tuple[float, float, _Unit]) -> np.ndarray:
    """location + sigma·z, z by the inverse distribution function in float64."""
    return _from_below(words.portions(word), *numbers)


def _from_below(share: np.ndarray, location: float, sigma: float, unit: _Unit) -> np.ndarray:
    """The value below which this share of the cut law lies."""
    # In the lower tail, where small probabilities are exact; mirrored, if the kept part lies in the upper one.
    side = 1.0 if unit.low + unit.high <= 0 else -1.0
    below = math.erfc(max(-side * unit.low, -side * unit.high) / math.sqrt(2)) / 2
    z = ndtri(torch.from_numpy(below + unit.mass * (share if side > 0 else 1 - share))).numpy()
    return location + sigma * side * z
