"""The transforms of words as compiled loops, for `drawing.draw_`: the same bits several times as fast. Needs Numba.

A loop makes a few thousand values at a time, and looks at them (see `Seen`) before they leave a core's own cache.
Numba keeps what it compiles on disk, and renews it when this file changes; so each loop is checked before it is used.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite.ir import FunctionType
from numba import types
from numba.extending import intrinsic, register_jitable

from modelforge.core.rng import Key
from modelforge.inits.laws import transforms
from modelforge.inits.laws.seen import BLOCK, FACTORS, ROW_FACTOR, Seen, Sums, block_factor, every
from modelforge.inits.laws.transforms import UNBOUNDED, Transform

register_jitable(transforms._log)
register_jitable(transforms._ratio)
_PIECE = 2 * BLOCK
"""Words, values and factors of a piece fit a core's smallest cache together."""
_UNIFORM_GROUP, _NORMAL_GROUP = 32, 16
"""Values between draws: a core computes with vectors of them while it draws the words of the next piece, one after the
other. The number is known where a loop is compiled, so that there is no loop over them."""
_3, _11, _24, _40 = (np.uint64(bits) for bits in (3, 11, 24, 40))
_uniform = numba.njit(transforms.uniform, error_model="numpy")
_logs = numba.njit(transforms.logs, error_model="numpy")
_normal_of = numba.njit(transforms.normal_of, error_model="numpy")
_block_factor = numba.njit(block_factor, error_model="numpy")


def _with_wide_vectors(typing: Any) -> Any:
    """Vectors of 512 bits in the calling function, on processors that have them: on some, LLVM prefers 256."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite's own `add` takes no attribute with a value.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.none(), generate


_wide: Any = intrinsic(_with_wide_vectors)


def _in_one_piece(typing: Any, number: Any) -> Any:
    """The number itself; LLVM takes no sum apart to make it part of another, which takes more steps in the end."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[0].type
        return builder.asm(FunctionType(kind, [kind]), "", "=r,0", args, side_effect=False)

    return number(number), generate


_whole: Any = intrinsic(_in_one_piece)


@cache
def loop(transform: Transform) -> Any:
    """The loop of a transform, or None where there is none that gives the bits that NumPy gives."""
    made = _LOOPS.get(transform)
    return made if made is not None and _agrees(transform, made) else None


def _agrees(transform: Transform, made: Any) -> bool:
    """Whether the bits are equal, where nothing is clipped and where it is."""
    numbers = (
        transforms.normal_numbers(-0.3, 0.7, 0.9)
        if transform is transforms.normal
        else transforms.uniform_numbers(-0.3, 0.7)
    )
    key, values = Key(0, "words"), np.empty(3 * _PIECE // 2, dtype=np.float32)
    drawn = np.concatenate([*key.words(len(values))])
    expected = np.asarray(transform(drawn, numbers))
    for bounds in (UNBOUNDED, (np.float32(-1), np.float32(0.2))):
        made(key.state(), values, numbers, *bounds, *_watch(0))
        if values.tobytes() != np.clip(expected, *bounds).tobytes():
            return False
    return True


@numba.njit(error_model="numpy", forceinline=True)
def _next(a: Any, b: Any, c: Any, count: Any) -> Any:
    """A word of NumPy's SFC64 (Doty-Humphrey's), and the state after it."""
    word = _whole(_whole(b + count) + a)
    return word, b ^ (b >> _11), _whole(c + (c << _3)), ((c << _24) | (c >> _40)) + word, count + np.uint64(1)


@numba.njit(error_model="numpy")
def _draw_words(state: Any, drawn: Any) -> Any:
    a, b, c, count = state
    for index in range(len(drawn)):
        drawn[index], a, b, c, count = _next(a, b, c, count)
    return a, b, c, count


@numba.njit(error_model="numpy", inline="always")
def _clipped(value: Any, low: Any, high: Any) -> Any:
    raised = value if value > low else low
    return raised if raised < high else high


# --- looking at values ------------------------------------------------------------------------------------------------


@numba.njit(error_model="numpy", fastmath={"reassoc", "nsz", "contract"}, forceinline=True)
def _look(piece: Any, start: Any, about: Any, seen: Any) -> None:
    """Adds what a piece holds, of which the first value has the number `start`, a multiple of BLOCK.

    One function: a call for each block would take longer than its sums.
    """
    _wide()
    shift, mean, scale, each = about
    factors, keys, sums, ends, blocks = seen
    bits, words, low, high = piece.view(np.int32), piece.view(np.uint32), np.uint64(0xFFFFFFFF), np.uint64(32)
    pairs = piece[: len(piece) // 2 * 2].view(np.uint64)
    # As integers: to compare floats takes ten times as long.
    least, greatest, most = np.int32(2147483647), np.int32(-2147483648), np.uint32(0)
    for index in range(len(bits)):
        bit = bits[index]
        least, greatest, most = min(least, bit), max(greatest, bit), max(most, np.uint32(bit))
    ends[0], ends[1], ends[2] = min(ends[0], least), max(ends[1], greatest), max(ends[2], most)
    for begin in range(0, len(piece), BLOCK):
        block, number = piece[begin : begin + BLOCK], (start + begin) // BLOCK
        first, second, third, fourth, total = np.float32(0), np.float32(0), 0.0, 0.0, np.uint64(0)
        for index in range(len(block)):
            off = block[index] - shift
            first += off
            second += off * off
        if number % each == 0:
            for index in range(len(block)):
                z = (np.float64(block[index]) - mean) * scale
                square = z * z
                third += square * z
                fourth += square * square
        # In pairs: a core multiplies halves of 64 bits without moving them apart first.
        own = pairs[begin // 2 : (begin + len(block)) // 2]
        for index in range(len(own)):
            pair, key = own[index], keys[index]
            total += (pair & low) * (key & low) + (pair >> high) * (key >> high)
        if len(block) % 2:
            total += np.uint64(words[-1]) * np.uint64(factors[len(block) - 1])
        sums[0] += first
        sums[1] += second
        sums[2] += third
        sums[3] += fourth
        blocks[number] = total


def _watch(count: int, mean: float = 0.0, std: float | None = None) -> tuple[Any, Any]:
    """What a loop is given to look at so many values; without `std` it does not."""
    about = np.float32(mean), float(mean), 1 / (std or 1.0), every(count) if std else 0
    ends = np.array([2**31 - 1, -(2**31), 0])
    return about, (FACTORS, FACTORS.view(np.uint64), np.zeros(4), ends, np.zeros(-(-count // BLOCK), np.uint64))


def _report(count: int, about: Any, seen: Any) -> Seen:
    shift, mean, _, each = about
    _, _, sums, (lowest, highest, most), blocks = seen
    first, second, third, fourth = map(float, sums)
    # Sums are about the nearest float32.
    off = float(shift) - mean
    second, first = second + off * (2 * first + count * off), first + count * off
    # As integers, negative floats rise the wrong way; as unsigned ones, they are above the others.
    ends = np.array([most if most >= 2**31 else lowest, highest if highest >= 0 else lowest])
    least, greatest = map(float, ends.astype(np.uint32).view(np.float32)) if count else (np.inf, -np.inf)
    sampled = sum(min(BLOCK, count - start) for start in range(0, count, BLOCK * each))
    return Seen(Sums(count, first, second, sampled, third, fourth, least, greatest), blocks)


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _loop_look(values: Any, about: Any, seen: Any) -> None:
    _wide()
    for start in range(0, len(values), _PIECE):
        _look(values[start : start + _PIECE], start, about, seen)


def look(values: np.ndarray, mean: float, std: float) -> Seen:
    """Of flat float32 values."""
    about, seen = _watch(len(values), mean, std)
    _loop_look(values, about, seen)
    return _report(len(values), about, seen)


@numba.njit(nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"}, cache=True)
def rows(values: Any, words: Any, mean: Any, scale: Any) -> Any:
    """Of each row of float32 values the mean of z², z = (x - mean)·scale, and of its words (uint32) a key."""
    squares, keys = np.empty(len(values)), np.empty(len(values), np.uint64)
    for row in range(len(values)):
        total, key = 0.0, np.uint64(0)
        for column in range(values.shape[1]):
            z = (np.float64(values[row, column]) - mean) * scale
            total += z * z
        for column in range(values.shape[1]):
            key += np.uint64(words[row, column]) * (np.uint64(2 * column + 1) * ROW_FACTOR)
        squares[row], keys[row] = total / values.shape[1], key
    return squares, keys


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
        total += inner * _block_factor(block)
        start, begin, block = start + len(piece), 0, block + np.uint64(1)
    return total


# --- drawing: one loop for each, as a loop that is given its transform cannot be kept on disk -------------------------
#
# What computes a piece is a function of its own: there the compiler knows best which numbers to keep in registers. A
# normal value takes two: each has half as many steps that wait for one another, and so a core works on more values at
# once. Each draws words of the next piece in the place of those that are used up.


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _loop_uniform(state: Any, out: Any, numbers: Any, low: Any, high: Any, about: Any, seen: Any) -> None:
    _wide()
    drawn, spare = np.empty(_PIECE // 2, np.uint64), np.empty(_PIECE, np.float32)
    left = _draw_words(state, drawn)
    for start in range(0, len(out), _PIECE):
        piece = out[start : start + _PIECE]
        made = piece if len(piece) == _PIECE else spare
        left = _uniforms(left, drawn, drawn.view(np.int32), made, numbers, low, high)
        if len(piece) < _PIECE:
            piece[:] = spare[: len(piece)]
        if about[-1]:
            _look(piece, start, about, seen)


@numba.njit(error_model="numpy")
def _uniforms(state: Any, drawn: Any, words: Any, made: Any, numbers: Any, low: Any, high: Any) -> Any:
    """Uniform values of a piece; the next words."""
    _wide()
    a, b, c, count = state
    for begin in range(0, _PIECE, _UNIFORM_GROUP):
        for index in range(begin, begin + _UNIFORM_GROUP):
            made[index] = _clipped(_uniform(words[index], numbers), low, high)
        for index in range(begin // 2, (begin + _UNIFORM_GROUP) // 2):
            drawn[index], a, b, c, count = _next(a, b, c, count)
    return a, b, c, count


@numba.njit(nogil=True, error_model="numpy", cache=True)
def _loop_normal(state: Any, out: Any, numbers: Any, low: Any, high: Any, about: Any, seen: Any) -> None:
    _wide()
    drawn, logs, spare = np.empty(_PIECE // 2, np.uint64), np.empty(_PIECE, np.float32), np.empty(_PIECE, np.float32)
    left = _draw_words(state, drawn)
    for start in range(0, len(out), _PIECE):
        piece = out[start : start + _PIECE]
        made = piece if len(piece) == _PIECE else spare
        left = _first_half(left, drawn, drawn.view(np.int32), made, logs, numbers)
        left = _second_half(left, drawn, made, logs, numbers, low, high)
        if len(piece) < _PIECE:
            piece[:] = spare[: len(piece)]
        if about[-1]:
            _look(piece, start, about, seen)


@numba.njit(error_model="numpy")
def _first_half(state: Any, drawn: Any, words: Any, made: Any, logs: Any, numbers: Any) -> Any:
    """x and -ln(1 - x²) of a piece; half of the next words."""
    _wide()
    a, b, c, count = state
    for begin in range(0, _PIECE, _NORMAL_GROUP):
        for index in range(begin, begin + _NORMAL_GROUP):
            made[index], logs[index] = _logs(words[index], numbers)
        for index in range(begin // 4, (begin + _NORMAL_GROUP) // 4):
            drawn[index], a, b, c, count = _next(a, b, c, count)
    return a, b, c, count


@numba.njit(error_model="numpy")
def _second_half(state: Any, drawn: Any, made: Any, logs: Any, numbers: Any, low: Any, high: Any) -> Any:
    """Normal values of these; the other half of the next words."""
    _wide()
    a, b, c, count = state
    for begin in range(0, _PIECE, _NORMAL_GROUP):
        for index in range((_PIECE + begin) // 4, (_PIECE + begin + _NORMAL_GROUP) // 4):
            drawn[index], a, b, c, count = _next(a, b, c, count)
        for index in range(begin, begin + _NORMAL_GROUP):
            made[index] = _clipped(_normal_of(made[index], logs[index], numbers), low, high)
    return a, b, c, count


def draw_(made: Any, out: np.ndarray, key: Key, numbers: Any, bounds: Any, moments: Any) -> Seen | None:
    """Runs a loop, and has it look at what it makes where it is given (mean, std)."""
    about, seen = _watch(len(out), *moments or ())
    made(key.state(), out, numbers, *bounds, about, seen)
    return _report(len(out), about, seen) if moments else None


_LOOPS: dict[Transform, Any] = {
    transforms.uniform: _loop_uniform,
    transforms.normal: _loop_normal,
}
