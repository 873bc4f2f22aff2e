"""Laws of independent values: constant, uniform, normal, truncated normal, with their moments and how to draw them.

What is drawn has *prefix stability*: element i is the same however many elements are drawn. torch's own draws are not
(fewer than 16 normals, or a tail of fewer than 16, come out differently), so values are drawn in whole runs of 16.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from modelforge.rng import split


class Law(Protocol):
    """The distribution of independent, identically distributed values."""

    @property
    def mean(self) -> float: ...
    @property
    def std(self) -> float: ...
    @property
    def kurtosis(self) -> float:
        """The fourth standardised moment: 3 for a normal law, 1 for a constant."""
        ...

    @property
    def bounds(self) -> tuple[float, float] | None:
        """What no value leaves, or None."""
        ...

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """The probability of a value of at most `x`, elementwise."""
        ...

    def draw_(self, out: Tensor, generator: torch.Generator) -> None:
        """Fills `out` (float32, contiguous, on the CPU) in place; element i depends on the generator's state only."""
        ...


class Drawn(ABC):
    """Draws whole runs of 16 values; leaf classes say how to fill them. Single-threaded, no full-size temporaries."""

    def draw_(self, out: Tensor, generator: torch.Generator) -> None:
        """Fills `out` (float32, contiguous, on the CPU) in place; element i depends on the generator's state only."""
        assert out.dtype == torch.float32, f"values are drawn in float32, not {out.dtype}"
        _by_sixteens(out.detach().view(-1), lambda span: self._fill_(span, generator))

    @abstractmethod
    def _fill_(self, span: Tensor, generator: torch.Generator) -> None:
        """Fills one whole span; its length is a multiple of 16."""


@dataclass(frozen=True, slots=True)
class Constant(Drawn):
    """One value everywhere."""

    value: float

    @property
    def mean(self) -> float:
        return self.value

    @property
    def std(self) -> float:
        return 0.0

    @property
    def kurtosis(self) -> float:
        return 1.0

    @property
    def bounds(self) -> None:
        return None

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """0 below the value, 1 from it on."""
        return np.asarray(x >= self.value, dtype=np.float64)

    def _fill_(self, span: Tensor, generator: torch.Generator) -> None:
        del generator
        span.numpy().fill(self.value)


@dataclass(frozen=True, slots=True)
class Uniform(Drawn):
    """U(low, high), low < high."""

    low: float
    high: float

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def std(self) -> float:
        return (self.high - self.low) / math.sqrt(12)

    @property
    def kurtosis(self) -> float:
        return 9 / 5

    @property
    def bounds(self) -> tuple[float, float]:
        return self.low, self.high

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A ramp from `low` to `high`."""
        return np.clip((np.asarray(x, dtype=np.float64) - self.low) / (self.high - self.low), 0, 1)

    def _fill_(self, span: Tensor, generator: torch.Generator) -> None:
        span.uniform_(self.low, self.high, generator=generator)
        np.clip(span.numpy(), *_within(self.low, self.high), out=span.numpy())


@dataclass(frozen=True, slots=True)
class Normal(Drawn):
    """N(mean, std²), std > 0."""

    mean: float
    std: float

    @property
    def kurtosis(self) -> float:
        return 3.0

    @property
    def bounds(self) -> None:
        return None

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """(1 + erf((x - mean) / (std √2))) / 2."""
        return (1 + _erf((np.asarray(x, dtype=np.float64) - self.mean) / (self.std * math.sqrt(2)))) / 2

    def _fill_(self, span: Tensor, generator: torch.Generator) -> None:
        span.normal_(self.mean, self.std, generator=generator)


@dataclass(frozen=True, slots=True)
class TruncatedNormal:
    """N(mean, sigma²) cut to mean ± truncate·sigma; the values that come out have standard deviation `std`.

    sigma = std / ratio, where ratio² = 1 - 2cφ(c) / (2Φ(c) - 1) is the variance of a standard normal cut to ±c.
    """

    mean: float
    std: float
    truncate: float = 2.0

    @property
    def kurtosis(self) -> float:
        return _cut_normal(self.truncate).kurtosis

    @property
    def bounds(self) -> tuple[float, float]:
        reach = self.std * _cut_normal(self.truncate).reach
        return self.mean - reach, self.mean + reach

    @property
    def sigma(self) -> float:
        """The standard deviation of the normal law before it is cut."""
        return self.std * _cut_normal(self.truncate).sigma

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """(1 + erf(z / √2) / erf(c / √2)) / 2 with z = (x - mean) / sigma and c = truncate."""
        unit = _cut_normal(self.truncate)
        z = np.clip((np.asarray(x, dtype=np.float64) - self.mean) / self.sigma, -unit.cut, unit.cut)
        return (1 + _erf(z / math.sqrt(2)) / unit.mass) / 2

    def draw_(self, out: Tensor, generator: torch.Generator) -> None:
        """Fills `out` (float32, contiguous, on the CPU) in place; element i depends on the generator's state only."""
        flat, unit = out.detach().view(-1), _cut_normal(self.truncate)
        values = flat.numpy()
        if unit.cut < 1:
            # Most normals would be rejected here, and the inverse distribution function is tame.
            _by_sixteens(flat, lambda span: _inverse(span, unit, generator))
        else:
            # A stream of their own: where it begins must not depend on how many values were drawn before.
            redraws = split(generator)
            _by_sixteens(flat, lambda span: span.normal_(generator=generator))
            _redraw_outside(values, unit, redraws)
        np.multiply(values, self.sigma, out=values)
        if self.mean:
            np.add(values, self.mean, out=values)
        np.clip(values, *_within(*self.bounds), out=values)


@dataclass(frozen=True, slots=True)
class _CutNormal:
    """A normal law that is cut at ±`cut` of its `sigma`, so that its standard deviation is 1 afterwards."""

    cut: float
    sigma: float
    reach: float
    mass: float
    kurtosis: float


@cache
def _cut_normal(truncate: float) -> _CutNormal:
    # Below, float32 cannot tell the law from a uniform one; above, no normal that it can draw is cut.
    cut = min(max(truncate, 1e-3), 12.0)
    nodes, weights = np.polynomial.legendre.leggauss(128)
    # In units of the cut, so that nothing cancels where it is small.
    u = (nodes + 1) / 2
    density = weights * np.exp(-((cut * u) ** 2) / 2)
    second, fourth = (float(density @ u**power / density.sum()) for power in (2, 4))
    reach = max(truncate / cut, 1.0) / math.sqrt(second)
    return _CutNormal(cut, 1 / (cut * math.sqrt(second)), reach, math.erf(cut / math.sqrt(2)), fourth / second**2)


def _by_sixteens(flat: Tensor, fill: Callable[[Tensor], object]) -> None:
    """Fills all that runs of 16 fill, and then the rest from one more run."""
    whole = len(flat) - len(flat) % 16
    if whole:
        fill(flat[:whole])
    if whole < len(flat):
        scratch = torch.empty(16, device="cpu")
        fill(scratch)
        flat[whole:].numpy()[:] = scratch.numpy()[: len(flat) - whole]


def _inverse(span: Tensor, unit: _CutNormal, generator: torch.Generator) -> None:
    drawn = torch.empty(len(span), dtype=torch.float64, device="cpu")
    drawn.uniform_(-unit.mass, unit.mass, generator=generator).erfinv_()
    span.copy_(drawn.mul_(math.sqrt(2)))


def _redraw_outside(values: np.ndarray, unit: _CutNormal, generator: torch.Generator) -> None:
    """Replaces the values beyond the cut, in their order, by the next normals drawn that lie within."""
    outside = np.flatnonzero(np.abs(values) > unit.cut)
    while len(outside):
        num_drawn = 16 * (2 + int(1.1 * len(outside) / unit.mass) // 16)
        drawn = torch.empty(num_drawn, device="cpu").normal_(generator=generator).numpy()
        kept = drawn[np.abs(drawn) <= unit.cut][: len(outside)]
        values[outside[: len(kept)]] = kept
        outside = outside[len(kept) :]


@lru_cache(maxsize=256)
def _within(low: float, high: float) -> tuple[np.float32, np.float32]:
    """The least and the greatest float32 in [low, high]; twice the nearest one where there is none."""
    least, most = np.float32(low), np.float32(high)
    # As Python floats: NumPy would compare in float32.
    if float(least) < low:
        least = np.nextafter(least, np.float32(np.inf))
    if float(most) > high:
        most = np.nextafter(most, np.float32(-np.inf))
    if least > most:
        least = most = np.float32((low + high) / 2)
    return least, most


def _erf(x: np.ndarray) -> np.ndarray:
    return torch.erf(torch.from_numpy(np.ascontiguousarray(x))).numpy()
