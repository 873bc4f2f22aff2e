"""The transforms of words as compiled loops, for `words.draw_`: the same bits several times as fast. Needs Numba.

Numba keeps what it compiles on disk, and renews it when this file changes; so each loop is checked before it is used.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numba.extending import register_jitable

from modelforge.core.rng import Key
from modelforge.inits.laws import transforms as words
from modelforge.inits.laws.transforms import UNBOUNDED, Transform

register_jitable(words._quantile)
_PIECE = 1 << 12
_3, _11, _24, _40 = (np.uint64(bits) for bits in (3, 11, 24, 40))
_uniform = numba.njit(words.uniform, error_model="numpy")
_normal = numba.njit(words.normal, error_model="numpy")


@cache
def loop(transform: Transform) -> Any:
    """The loop of a transform, or None where there is none that gives the bits that NumPy gives."""
    made = _LOOPS.get(transform)
    return made if made is not None and _agrees(transform, made) else None


def _agrees(transform: Transform, made: Any) -> bool:
    """Whether the bits are equal, where nothing is clipped and where it is."""
    numbers = words.normal_numbers(-0.3, 0.7, 0.9) if transform is words.normal else words.uniform_numbers(-0.3, 0.7)
    key, values = Key(0, "words"), np.empty(3 * _PIECE // 2, dtype=np.float32)
    drawn = np.concatenate([*key.words(len(values))])
    expected = np.asarray(transform(drawn, numbers))
    for bounds in (UNBOUNDED, (np.float32(-1), np.float32(0.2))):
        made(key.state(), values, numbers, *bounds)
        if values.tobytes() != np.clip(expected, *bounds).tobytes():
            return False
    return True


@numba.njit(error_model="numpy", inline="always")
def _draw_words(state: Any, drawn: Any) -> None:
    """NumPy's SFC64 (Doty-Humphrey's), without a call for each number."""
    a, b, c, count = state
    for index in range(len(drawn)):
        word = a + b + count
        a, b, c = b ^ (b >> _11), c + (c << _3), ((c << _24) | (c >> _40)) + word
        count += np.uint64(1)
        drawn[index] = word
    state[0], state[1], state[2], state[3] = a, b, c, count


@numba.njit(error_model="numpy", inline="always")
def _clipped(value: Any, low: Any, high: Any) -> Any:
    raised = value if value > low else low
    return raised if raised < high else high


# One loop for each: a loop that is given its transform cannot be kept on disk.


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _loop_uniform(state: Any, out: Any, numbers: Any, low: Any, high: Any) -> None:
    drawn = np.empty(_PIECE // 2, np.uint64)
    words = drawn.view(np.int32)
    for start in range(0, len(out), _PIECE):
        piece = out[start : start + _PIECE]
        _draw_words(state, drawn)
        for index in range(len(piece)):
            piece[index] = _clipped(_uniform(words[index], numbers), low, high)


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _loop_normal(state: Any, out: Any, numbers: Any, low: Any, high: Any) -> None:
    drawn = np.empty(_PIECE // 2, np.uint64)
    words = drawn.view(np.int32)
    for start in range(0, len(out), _PIECE):
        piece = out[start : start + _PIECE]
        _draw_words(state, drawn)
        for index in range(len(piece)):
            piece[index] = _clipped(_normal(words[index], numbers), low, high)


@numba.njit(nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"}, cache=True)
def sums(values: Any, shift: Any) -> Any:
    """The sums of x - shift and of (x - shift)² over float32 values, in float64."""
    first, second = 0.0, 0.0
    for index in range(len(values)):
        off = np.float64(values[index]) - shift
        first += off
        second += off * off
    return first, second


@numba.njit(nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"}, cache=True)
def powers(values: Any, shift: Any, scale: Any) -> Any:
    """The sums of z³ and z⁴ over float32 values, z = (x - shift)·scale, in float64."""
    third, fourth = 0.0, 0.0
    for index in range(len(values)):
        z = (np.float64(values[index]) - shift) * scale
        square = z * z
        third += square * z
        fourth += square * square
    return third, fourth


@numba.njit(nogil=True, error_model="numpy", cache=True)
def extremes(bits: Any) -> Any:
    """The bits of the least and of the greatest of float32 values, given as int32, in an order that numbers have."""
    least, greatest = np.int32(2147483647), np.int32(-2147483648)
    for index in range(len(bits)):
        # Those of negative numbers rise the wrong way.
        bit = np.int32(bits[index] ^ np.int32(np.int32(bits[index] >> np.int32(31)) & np.int32(2147483647)))
        least, greatest = min(least, bit), max(greatest, bit)
    return least, greatest


@numba.njit(nogil=True, error_model="numpy", cache=True)
def checksum(words: Any, factors: Any, first: Any) -> Any:
    """See `modelforge.building.checksum`: of uint32 words side by side, of which the first has the number `first`."""
    total, start, size = np.uint64(0), 0, len(factors)
    begin, block = np.int64(first) % size, np.uint64(np.int64(first) // size)
    while start < len(words):
        piece, own = words[start : start + size - begin], factors[begin:]
        inner = np.uint64(0)
        for index in range(len(piece)):
            inner += np.uint64(piece[index]) * np.uint64(own[index])
        z = (block + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        total += inner * ((z ^ (z >> np.uint64(31))) | np.uint64(1))
        start, begin, block = start + len(piece), 0, block + np.uint64(1)
    return total


_LOOPS: dict[Transform, Any] = {
    words.uniform: _loop_uniform,
    words.normal: _loop_normal,
}
