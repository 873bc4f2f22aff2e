"""Laws of independent values: constant, uniform and normal, with their moments and how to draw them.

What is drawn has *prefix stability*: element i is a function of the key and i, however many elements are drawn. All
laws rise with the same uniform number, so that runs that differ in a law only start from the same quantiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from modelforge.core.rng import Key
from modelforge.inits.laws import drawing, transforms
from modelforge.inits.laws.seen import Seen, seen_of_equal


class Distribution(Protocol):
    """How values are distributed."""

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


class Law(Distribution, Protocol):
    """The distribution of independent, identically distributed values, and how to draw them."""

    def draw_(self, out: Tensor, key: Key) -> Seen | None:
        """Fills `out` (float32 or float64, contiguous, on the CPU) in place; element i depends on the key and i.

        Returns:
            What was seen of all values as they are in `out`, for those who would otherwise read them again; or None.
        """
        ...


class Drawn:
    """Turns one random word into one value; leaf classes say how. Single-threaded, no full-size temporaries."""

    __slots__ = ()

    def draw_(self, out: Tensor, key: Key) -> Seen | None:
        """See `Law.draw_`. Values in float64 are those in float32 with more digits."""
        values = _flat(out)
        if out.dtype == torch.float64:
            return drawing.draw_doubles_(values, key, self._values, self.bounds or (-math.inf, math.inf))
        law: Any = self  # each leaf class states its moments
        return drawing.draw_(values, key, *self._transform(), self._clip(), (law.mean, law.std))

    @property
    def bounds(self) -> tuple[float, float] | None:
        """What no value leaves; None, unless a law has bounds."""
        return None

    def _quantile(self, share: np.ndarray) -> np.ndarray:
        """The value below which this share of the law lies, in float64; for laws without the two that follow."""
        raise NotImplementedError

    def _transform(self) -> tuple[transforms.Transform, Any]:
        """What makes float32 values of words, and the numbers that it takes."""
        return _by_quantile, self

    def _values(self, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """The float64 values of x, which is uniform in (-1, 1), for `rest` = 1 - |x|."""
        return self._quantile(np.where(x < 0, rest / 2, 1 - rest / 2))

    def _clip(self) -> tuple[np.float32, np.float32]:
        """What no value may leave, should rounding lead there."""
        return transforms.UNBOUNDED if self.bounds is None else within(*self.bounds)


def _by_quantile(word: np.ndarray, law: Drawn) -> np.ndarray:
    return law._quantile(transforms.portions(word))


@dataclass(frozen=True, slots=True)
class Constant:
    """One value everywhere."""

    mean: float
    std: float = field(default=0.0, init=False, repr=False)
    kurtosis: float = field(default=1.0, init=False, repr=False)
    bounds: None = field(default=None, init=False, repr=False)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """0 below the value, 1 from it on."""
        return np.asarray(x >= self.mean, dtype=np.float64)

    def draw_(self, out: Tensor, key: Key) -> Seen | None:
        """See `Law.draw_`; `out` may be of any floating dtype, on any device. Torch's own threads fill it."""
        flat = out.detach().view(-1)
        # Rounded to single precision on the way, as the values of other laws are.
        single = out.dtype if out.dtype == torch.float64 else torch.float32
        flat.fill_(torch.tensor(self.mean, dtype=single, device="cpu").to(out.dtype).item())
        return seen_of_equal(flat, self.mean)


@dataclass(frozen=True, slots=True)
class Uniform(Drawn):
    """U(low, high), low < high."""

    low: float
    high: float
    kurtosis: float = field(default=9 / 5, init=False, repr=False)

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def std(self) -> float:
        return (self.high - self.low) / math.sqrt(12)

    @property
    def bounds(self) -> tuple[float, float]:
        return self.low, self.high

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A ramp from `low` to `high`."""
        return np.clip((np.asarray(x, dtype=np.float64) - self.low) / (self.high - self.low), 0, 1)

    def _transform(self) -> tuple[transforms.Transform, Any]:
        return transforms.uniform, transforms.uniform_numbers(self.mean, self.high / 2 - self.low / 2)

    def _values(self, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return self.mean + (self.high / 2 - self.low / 2) * x


@dataclass(frozen=True, slots=True)
class Normal(Drawn):
    """N(mean, std²), std > 0."""

    mean: float
    std: float
    kurtosis: float = field(default=3.0, init=False, repr=False)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """(1 + erf((x - mean) / (std √2))) / 2."""
        return (1 + _erf((np.asarray(x, dtype=np.float64) - self.mean) / (self.std * math.sqrt(2)))) / 2

    def _transform(self) -> tuple[transforms.Transform, Any]:
        return transforms.normal, transforms.normal_numbers(self.mean, self.std)

    def _values(self, x: np.ndarray, rest: np.ndarray) -> np.ndarray:
        return self.mean + self.std * transforms.normal_quantiles(x, rest)


def _flat(out: Tensor) -> np.ndarray:
    """The memory of a tensor that values can be drawn in."""
    assert out.dtype in (torch.float32, torch.float64), f"values are drawn in float32 or float64, not {out.dtype}"
    return out.detach().view(-1).numpy()


@lru_cache(maxsize=256)
def within(low: float, high: float) -> tuple[np.float32, np.float32]:
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
