"""Laws of independent values: constant, uniform, normal, truncated normal, with their moments and how to draw them.

What is drawn has *prefix stability*: element i is the same however many elements are drawn. torch's own draws are not
(fewer than 16 normals, or a tail of fewer than 16, come out differently), so every draw is cut into spans, and what a
span holds does not depend on how much of it is used.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

_FIRST_SPAN = 1 << 11
_LONGEST_SPAN = 1 << 16


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
    """Draws span by span; leaf classes say how to fill one span. Single-threaded, without full-size temporaries."""

    _by_sixteens: ClassVar[bool] = True
    """Whether each run of 16 values is made from the next 16 numbers of the generator, as torch's own draws are."""

    def draw_(self, out: Tensor, generator: torch.Generator) -> None:
        """Fills `out` (float32, contiguous, on the CPU) in place; element i depends on the generator's state only."""
        assert out.dtype == torch.float32, f"values are drawn in float32, not {out.dtype}"
        flat = out.detach().view(-1)
        for start, stop in _sixteens(flat.numel()) if self._by_sixteens else _growing(flat.numel()):
            span = flat[start:stop]
            if len(span) == stop - start:
                self._fill_(span, generator)
            else:
                scratch = torch.empty(stop - start, device="cpu")
                self._fill_(scratch, generator)
                span.numpy()[:] = scratch.numpy()[: len(span)]

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
class TruncatedNormal(Drawn):
    """N(mean, sigma²) cut to mean ± truncate·sigma; the values that come out have standard deviation `std`.

    sigma = std / ratio, where ratio² = 1 - 2cφ(c) / (2Φ(c) - 1) is the variance of a standard normal cut to ±c.
    """

    mean: float
    std: float
    truncate: float = 2.0

    _by_sixteens: ClassVar[bool] = False

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

    def _fill_(self, span: Tensor, generator: torch.Generator) -> None:
        values, unit = span.numpy(), _cut_normal(self.truncate)
        if unit.cut < 1:
            # Most normals would be rejected here, and the inverse distribution function is tame.
            drawn = torch.empty(len(span), dtype=torch.float64, device="cpu")
            drawn.uniform_(-unit.mass, unit.mass, generator=generator).erfinv_()
            np.multiply(drawn.numpy(), math.sqrt(2) * self.sigma, out=values, casting="same_kind")
        else:
            span.normal_(generator=generator)
            _redraw_outside(values, unit, generator)
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


def _sixteens(total: int) -> Iterator[tuple[int, int]]:
    """All that runs of 16 fill, and one more run for the rest."""
    whole = total - total % 16
    if whole:
        yield 0, whole
    if total > whole:
        yield whole, whole + 16


def _growing(total: int) -> Iterator[tuple[int, int]]:
    """Spans at fixed places, from short to long, so that little is drawn in vain at the end."""
    start = 0
    while start < total:
        stop = start + min(max(start, _FIRST_SPAN), _LONGEST_SPAN)
        yield start, stop
        start = stop


def _redraw_outside(values: np.ndarray, unit: _CutNormal, generator: torch.Generator) -> None:
    """Replaces the values beyond the cut by normals drawn anew until all lie within."""
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
