"""A normal law cut at two given bounds: where torch's `trunc_normal_` cuts, whatever the standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.special import ndtr, ndtri

from modelforge.inits.laws import Normal, _within
from modelforge.rng import split

LEAST_MASS = 1e-6
"""The least share of the normal law that may be kept: its quantiles are exact in float64 down to here."""


@dataclass(frozen=True, slots=True)
class CutNormal:
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

    def draw_(self, out: Tensor, generator: torch.Generator) -> None:
        """Fills `out` (float32, contiguous, on the CPU) in place; element i depends on the generator's state only."""
        values, unit = out.detach().view(-1).numpy(), self._unit
        if unit.mass < 0.2:
            # Most normals would be rejected here.
            values[:] = _quantiles(unit, len(values), generator)
        else:
            # A stream of their own: where it begins must not depend on how many values were drawn before.
            redraws = split(generator)
            Normal(0.0, 1.0).draw_(out, generator)
            _redraw_outside(values, unit, redraws)
        np.multiply(values, self.sigma, out=values)
        if self.location:
            np.add(values, self.location, out=values)
        np.clip(values, *_within(self.low, self.high), out=values)

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


def _quantiles(unit: _Unit, size: int, generator: torch.Generator) -> np.ndarray:
    # In the lower tail, where small probabilities are exact; mirrored, if the kept part lies in the upper one.
    side = 1.0 if unit.low + unit.high <= 0 else -1.0
    below = math.erfc(max(-side * unit.low, -side * unit.high) / math.sqrt(2)) / 2
    whole_runs = -(-size // 16) * 16
    shares = torch.empty(whole_runs, dtype=torch.float64, device="cpu").uniform_(generator=generator)
    # 1 - share is never 0, whose quantile would be the bound itself, however far.
    return (side * ndtri(below + unit.mass * (1 - shares[:size]))).numpy()


def _redraw_outside(values: np.ndarray, unit: _Unit, generator: torch.Generator) -> None:
    """Replaces the values outside, in their order, by the next normals drawn that lie within."""
    outside = np.flatnonzero((values < unit.low) | (values > unit.high))
    while len(outside):
        num_drawn = 16 * (2 + int(1.1 * len(outside) / unit.mass) // 16)
        drawn = torch.empty(num_drawn, device="cpu").normal_(generator=generator).numpy()
        kept = drawn[(drawn >= unit.low) & (drawn <= unit.high)][: len(outside)]
        values[outside[: len(kept)]] = kept
        outside = outside[len(kept) :]
