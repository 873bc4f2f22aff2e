"""Random words → values: the arithmetic of the laws.

Each transform is written once. NumPy runs it on arrays; Numba, where it is installed, compiles it into one loop that is
several times as fast. Both give the same bits, as does every machine: there is nothing in it but operations on whole
numbers and + - * /, each rounded once as IEEE 754 says, and no function of a mathematical library. Only normal values
in float64 (`normal_quantiles`) are made by torch's functions, whose last bits differ between processors.

A word is an int32, all equally likely; it stands for x = (word + 1/2) / 2³¹ in (-1, 1). Its *magnitude*, of which
|x| = (magnitude + 1/2) / 2³¹, gives 1 - |x| without cancellation, so that tails are as fine as the middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch

Transform = Callable[[Any, Any], Any]
"""From words (an int32 array) and numbers of its own to float32 values, one for each word."""

UNIT: Final = 2.0**-31
"""Half of a word's interval in (-1, 1)."""
LARGEST: Final = np.int32(2**31 - 1)
_HALF, _ONE, _TWO = np.float32(0.5), np.float32(1), np.float32(2)
UNBOUNDED: Final = np.float32(-np.inf), np.float32(np.inf)


# log(1 + t) = t + t²·R(t) for 1 + t in [√½, √2), to 4e-8.
_R = tuple(np.float32(c) for c in (
    -0.5000058, 0.33335263, -0.24961466, 0.19888277, -0.17325997, 0.16335639, -0.10034601,
))  # fmt: skip
_R0, _R1, _R2, _R3, _R4, _R5, _R6 = _R
_SQRT_HALF = np.int32(0x3F3504F3)
"""The bits of √½."""
_LN2 = np.float32(0.6931472)

# Φ⁻¹((1 + x) / 2) / x = P(w) / Q(w) for w = -ln(1 - x²) in [0, 23.5], to 2e-7 of its value.
_P0, _P1, _P2, _P3, _P4, _P5 = (np.float32(c) for c in (
    1.2533144, 0.46190187, 0.0928606, 0.012408735, 0.0010618451, 2.8133014e-5,
))  # fmt: skip
_Q1, _Q2, _Q3, _Q4, _Q5 = (np.float32(c) for c in (
    0.10674946, 0.0330961, 0.002503621, 0.00017030435, 9.348395e-7,
))  # fmt: skip


def _quantile(x: Any, rest: Any) -> Any:
    """z with P(|N(0, 1)| <= |z|) = |x| and the sign of x, for `rest` = 1 - |x|, to 5e-7 of its value.

    A rational function of -ln(1 - x²), in which z / x is smooth from the middle to the tail: the idea of Giles,
    Approximating the erfinv function, GPU Computing Gems 2, 2012; the function was fitted for modelforge.
    """
    return _ratio(x, _log(rest))


def _log(rest: Any) -> Any:
    """-ln(1 - x²), for `rest` = 1 - |x|."""
    y = np.float32(rest * (_TWO - rest))
    bits = y.view(np.int32)
    exponent = np.int32(np.int32(bits - _SQRT_HALF) >> 23)
    t = np.int32(bits - np.int32(exponent << 23)).view(np.float32) - _ONE
    # In pairs of terms rather than one after the other: a core works on several at once.
    t2 = t * t
    log = t + t2 * (((_R0 + t * _R1) + t2 * (_R2 + t * _R3)) + (t2 * t2) * ((_R4 + t * _R5) + t2 * _R6))
    return np.float32(exponent) * -_LN2 - log


def _ratio(x: Any, w: Any) -> Any:
    """z, for w = -ln(1 - x²)."""
    w2 = w * w
    w4 = w2 * w2
    p = ((_P0 + w * _P1) + w2 * (_P2 + w * _P3)) + w4 * (_P4 + w * _P5)
    q = ((_ONE + w * _Q1) + w2 * (_Q2 + w * _Q3)) + w4 * (_Q4 + w * _Q5)
    return x * p / q


def uniform(word: Any, numbers: Any) -> Any:
    """middle + half·x."""
    middle, scale = numbers
    return middle + (np.float32(word) + _HALF) * scale


def uniform_numbers(middle: float, half: float) -> Any:
    """What `uniform` takes."""
    return _singles(middle, half * UNIT)


def normal(word: Any, numbers: Any) -> Any:
    """mean + sigma·z, for z standard normal given that P(|N(0, 1)| <= |z|) <= mass."""
    return normal_of(*logs(word, numbers), numbers)


def logs(word: Any, numbers: Any) -> tuple[Any, Any]:
    """x and -ln(1 - x²): the first half of `normal`."""
    _, _, scale, rest = numbers
    magnitude = np.int32(word ^ (word >> 31))
    return (np.float32(word) + _HALF) * scale, _log((np.float32(magnitude ^ LARGEST) + _HALF) * scale + rest)


def normal_of(x: Any, log: Any, numbers: Any) -> Any:
    """The second half of `normal`."""
    mean, sigma, _, _ = numbers
    return mean + sigma * _ratio(x, log)


def normal_numbers(mean: float, sigma: float, mass: float = 1.0) -> Any:
    """What `normal` takes; mass 1 is all of the law."""
    return _singles(mean, sigma, mass * UNIT, 1 - mass)


def cut_normal(word: Any, numbers: Any) -> Any:
    """location + sigma·z, for z standard normal given that erf(z / √2) is within `half` of `middle`.

    Numbers are (location, sigma, middle, half); it is for NumPy alone.
    """
    location, sigma, middle, half = numbers
    y = middle + half * (2 * portions(word) - 1)
    return np.float32(location) + np.float32(sigma) * _quantile(y.astype(np.float32), np.float32(1 - np.abs(y)))


def portions(word: Any) -> Any:
    """(1 + x) / 2: uniform numbers in (0, 1), float64, exact, never 0 or 1. For transforms that NumPy alone runs."""
    return (np.float64(word) + 0.5) * 2.0**-32 + 0.5


def _singles(*numbers: float) -> tuple[np.float32, ...]:
    return tuple(map(np.float32, numbers))


def normal_quantiles(x: Any, rest: Any, mass: float = 1.0) -> Any:
    """z with P(|N(0, 1)| <= |z|) = mass·|x| and the sign of x, in float64, for `rest` = 1 - |x|; its last bits are
    those of this processor and this release of torch."""
    inner = torch.erfinv(torch.from_numpy(mass * x)).numpy() * math.sqrt(2)
    outer = torch.special.ndtri(torch.from_numpy((1 - mass + mass * rest) / 2)).numpy()
    return np.where(mass * np.abs(x) < 0.5, inner, np.copysign(outer, x))
