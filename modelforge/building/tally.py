"""Tallies: sums, extremes and facts about rows of the values that one fill wrote, one part at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import inf
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from modelforge.building.checksum import checksum_of, parts_of, whole_of
from modelforge.building.shards import Shard, in_memory_order, over_processes
from modelforge.core.rng import CHUNK
from modelforge.inits.fills import Fill, Isometry, Moments, slant
from modelforge.inits.laws.drawing import loaded, look
from modelforge.inits.laws.seen import BLOCK, ROW_FACTOR, Sums, every
from modelforge.inits.laws.tails import same_value

_PIECE = 1 << 16
"""Elements that are summed at once: they stay in a core's cache, and few enough for sums in single precision."""
_ROWS_WHOLE, _ROWS_SAMPLE = 1 << 16, 1 << 14
"""Up to how many elements all rows are looked at, and of how many in each chunk of a longer parameter."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Facts about whole rows."""

    count: int = 0
    width: int = 0
    least: float = inf
    """Least and greatest mean of z² in a row, z = (x - mean) / std."""
    greatest: float = -inf
    compared: int = 0
    """How many rows were compared with one another,"""
    equal: int = 0
    """and how many of them equal an earlier one."""
    slant: float = 0.0
    """Of a matrix that is to be an isometry: |QQᵀv / factor² - v| for a unit vector v."""
    strays: int = 0
    """Values that contradict what the scheme fixes of them, or that no scheme may change."""


Part = TypeVar("Part", Sums, Rows)


@dataclass(frozen=True, slots=True)
class Tally:
    """What was measured of the values that one fill made."""

    fill: Fill | None = None
    sums: Sums = Sums()  # noqa: RUF009  # it is frozen
    """About the fill's mean, 0 where it promises none."""
    rows: Rows = Rows()
    checksum: int = 0
    """Of all elements that were written, rows that no scheme may change included."""

    @property
    def shift(self) -> float:
        """What the sums are about."""
        return self.fill.mean or 0.0 if self.fill is not None else 0.0

    def __add__(self, other: Tally) -> Tally:
        """The tally of both, which must be of one fill."""
        assert self.fill == other.fill, "sums about one shift"
        checksum = (self.checksum + other.checksum) % 2**64
        return Tally(self.fill, _together(self.sums, other.sums), _together(self.rows, other.rows), checksum)


SUMS = ("count", "strays", "first", "second", "sampled", "third", "fourth")
GREATEST = ("width", "greatest", "compared", "equal", "slant")
"""What of sums and rows is added over parts, and of what the greatest counts; of `least` the least does."""


@cache
def _names(part: type[Sums | Rows], among: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in among if name in part.__dataclass_fields__)


def _together(one: Part, other: Part) -> Part:
    """The sums and extremes of two parts."""
    kind = type(one)
    sums = {name: getattr(one, name) + getattr(other, name) for name in _names(kind, SUMS)}
    greatest = {name: max(getattr(one, name), getattr(other, name)) for name in _names(kind, GREATEST)}
    return kind(**sums, **greatest, least=min(one.least, other.least))


def measure(parts: Iterable[Tensor], fill: Fill) -> Tally:
    """Sums and extremes over what was written, rounding included.

    Sums of compiled loops and of NumPy's and torch's differ in their last digits, as single precision holds them.

    Args:
        parts: The memory; fixed elements are left out of it.
        fill: What wrote it.
    """
    tally = Tally(fill)
    for part in filter(len, map(_flat, parts)):
        if (seen := look(part, tally.shift, fill.std)) is not None:
            tally += Tally(fill, seen.sums)
            continue
        each = every(len(part))
        for piece in part.split(_PIECE if part.device.type == "cpu" and fill.std != 0 else CHUNK):
            tally += Tally(fill, _of_piece(piece, tally.shift, fill.std, each))
    return tally


def _of_piece(piece: Tensor, shift: float, std: float | None, each: int) -> Sums:
    count = len(piece)
    if std == 0 and (off := _offset(piece, shift)) is not None:
        return Sums(count, off * count, off**2 * count, least=shift + off, greatest=shift + off)
    # Single precision is enough for a piece, unless squares or differences would lose it, and keeps up with the draws.
    exact = std is None or not 1e-15 < std < 1e15 or abs(shift) > std
    stored = piece.to("cpu", torch.float64) - shift if exact else piece.to("cpu", torch.float32)
    first, second = float(stored.sum()), float(torch.dot(stored, stored))
    least, greatest = map(float, torch.aminmax(stored))
    if exact:
        least, greatest = least + shift, greatest + shift
    sampled, third, fourth = 0, 0.0, 0.0
    if std:
        some = stored if each == 1 else torch.cat(stored.split(BLOCK)[::each])
        z = some / std if exact else (some - shift) / std
        square = z * z
        sampled, third, fourth = len(z), float(torch.dot(square, z)), float(torch.dot(square, square))
    if not exact:
        second += shift * (shift * count - 2 * first)
        first -= shift * count
    return Sums(count, first, second, sampled, third, fourth, least, greatest)


def _flat(values: Tensor) -> Tensor:
    """All values; sums do not mind the order, so that it can be the one in memory."""
    flat = values.permute(in_memory_order(values)).reshape(-1)
    if flat.is_complex():  # values that are kept; real and imaginary parts are numbers alike
        flat = torch.view_as_real(flat.resolve_conj()).reshape(-1)
    return flat


def _offset(piece: Tensor, shift: float) -> float | None:
    """By how much all values of a piece lie off, where they are equal."""
    least, most = torch.aminmax(piece)
    return float(least) - shift if torch.equal(least, most) else None


def measure_whole(fills: Sequence[tuple[Any, Fill]], values: Shard) -> Tally:
    """Of the values of a parameter that was not drawn."""
    free = [fill for matrix, fill in fills if matrix.fixed is None] or [fill for _, fill in fills]
    return replace(measure([values.local], free[0]), checksum=checksum_of(values))


# --- rows -------------------------------------------------------------------------------------------------------------


def rows_of_chunk(values: Tensor, first: int, width: int, size: int, promise: Moments) -> Rows:
    """Of rows that lie in a chunk: all of them where the parameter is short, else some.

    Args:
        values: The chunk, flat, as it was drawn.
        first: Its first element, counted from the beginning of a row.
        width: Elements of a row.
        size: Elements of all chunks.
        promise: What the values promise; nothing fixed is among them.
    """
    if promise.law is None or not width:
        return Rows()
    whole = (len(values) - -first % width) // width
    number = min(whole, max(2, _ROWS_SAMPLE // width) if size > _ROWS_WHOLE else size)
    if number < 1:
        return Rows()
    # The last ones: they were drawn last, and are still in a cache.
    stop = -first % width + whole * width
    return _of_rows(values[stop - number * width : stop].view(number, width), promise)


def rows_of_matrix(values: Tensor, fill: Fill, *, input_first: bool) -> Rows:
    """Of a whole matrix: all of its rows where they are few, whether it is as orthogonal as promised, and what of it is
    fixed."""
    rows, promise = Rows(), fill.promise
    if not values.numel() or values.ndim < 2:
        return rows
    outputs_first = values.transpose(0, 1) if input_first else values
    if promise.law is not None:
        flat = outputs_first.reshape(len(outputs_first), -1)
        number = len(flat) if flat.numel() <= _ROWS_WHOLE else max(2, _ROWS_SAMPLE // flat.shape[1])
        rows = _of_rows(flat[:number], promise)
    if promise.isometry is not None:
        slant = _slant(outputs_first, promise.isometry)
        rows = replace(rows, count=max(rows.count, 1), slant=slant)
    return replace(rows, strays=fill.strays(values))


def _of_rows(rows: Tensor, promise: Moments) -> Rows:
    mean, std, law = promise.mean, promise.std, promise.law
    assert mean is not None, "it has a law"
    assert std, "its law is not a constant"
    assert law is not None, "as the callers check"
    number, width = rows.shape
    values = rows.contiguous().numpy()
    words = values.view(np.uint32)
    if (compiled := loaded()) is not None and values.dtype == np.float32:
        squares, keys = compiled.rows(values, words, mean, 1 / std)
    else:
        squares = np.square((values.astype(np.float64) - mean) / std).mean(axis=1)
        factors = np.arange(1, 2 * words.shape[1], 2, dtype=np.uint64) * ROW_FACTOR
        keys = (words.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
    seen = Rows(number, width, float(squares.min()), float(squares.max()))
    if not promise.distinct_rows:
        return seen
    # More rows than that have equal ones by chance.
    few = int(min(number, 2.0**20, max(2.0, same_value(law) ** (-width / 2) / 8 if width < 20 else inf)))
    return replace(seen, compared=few, equal=few - len(np.unique(keys[:few])))


def _slant(matrix: Tensor, isometry: Isometry) -> float:
    if isometry.summed and matrix.ndim > 2:
        signs = (-1.0) ** np.indices(matrix.shape[2:]).sum(0)
        alternating = matrix * torch.from_numpy(signs).to(matrix.dtype)
        return max(_off(part.flatten(2).sum(2), isometry) for part in (matrix, alternating))
    return _off(matrix, isometry)


def _off(whole: Tensor, isometry: Isometry) -> float:
    matrix = whole[: isometry.rows, : isometry.columns].reshape(isometry.rows, -1)
    return slant(matrix.T if matrix.shape[0] > matrix.shape[1] else matrix, isometry.factor)


# --- several processes ------------------------------------------------------------------------------------------------


def gather(tallies: Mapping[str, Sequence[Tally]], shards: Mapping[str, Shard]) -> dict[str, Sequence[Tally]]:
    """The tallies over all processes, for parameters that several processes hold."""
    spread = [(path, tally) for path, group in tallies.items() if shards[path].distributed for tally in group]
    if not spread:
        return dict(tallies)
    device = shards[spread[0][0]].local.device
    own = [tally if shards[path].counts else Tally() for path, tally in spread]
    sums = over_processes([_sums(tally) for tally in own], device)
    ends = over_processes([_extremes(tally) for _, tally in spread], device, greatest=True)
    total = dict(tallies)
    for path in dict.fromkeys(path for path, _ in spread):
        total[path] = []
    for (path, tally), *added in zip(spread, sums, ends, strict=True):
        total[path] = [*total[path], _gathered(tally, *added)]
    return total


def _sums(tally: Tally) -> list[float]:
    numbers = [getattr(part, name) for part in (tally.sums, tally.rows) for name in _names(type(part), SUMS)]
    return [*map(float, numbers), *parts_of(tally.checksum)]


def _extremes(tally: Tally) -> list[float]:
    """The numbers of which the greatest counts."""
    parts = (tally.sums, tally.rows)
    numbers = [getattr(part, name) for part in parts for name in _names(type(part), GREATEST)]
    return [*map(float, numbers), *(-part.least for part in parts)]


def _gathered(tally: Tally, sums: list[float], extremes: list[float]) -> Tally:
    numbers, ends = iter(sums), iter(extremes)

    def changes(part: Sums | Rows) -> dict[str, Any]:
        found = {name: next(numbers) for name in _names(type(part), SUMS)}
        found |= {name: next(ends) for name in _names(type(part), GREATEST)}
        return {name: type(getattr(part, name))(value) for name, value in found.items()}

    of_values, of_rows = changes(tally.sums), changes(tally.rows)
    least, lowest = (-end for end in ends)
    values, rows = replace(tally.sums, **of_values, least=least), replace(tally.rows, **of_rows, least=lowest)
    return Tally(tally.fill, values, rows, whole_of(numbers))
