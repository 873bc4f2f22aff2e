"""Tallies: what the memory that one fill wrote holds, as sums, extremes and facts about rows, one part at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelforge.building.checksum import checksum_of
from modelforge.building.shards import Shard, add_over_processes, extremes_over_processes, in_memory_order
from modelforge.core.rng import CHUNK
from modelforge.inits.fills import Fill, Isometry, Moments, slant
from modelforge.inits.laws.seen import BLOCK, ROW_FACTOR, Seen, every
from modelforge.inits.laws.tails import same_value
from modelforge.inits.laws.transforms import loaded, look

_PIECE = 1 << 16
"""Elements that are summed at once: they stay in a core's cache, and few enough for sums in single precision."""
_ROWS_WHOLE, _ROWS_SAMPLE = 1 << 16, 1 << 14
"""Up to how many elements all rows are looked at, and of how many in each chunk of a longer parameter."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What was seen of whole rows."""

    count: int = 0
    width: int = 0
    least: float = inf
    """Least and greatest mean of z² in a row, z = (x - mean) / std."""
    greatest: float = -inf
    compared: int = 0
    """How many rows were compared with one another,"""
    equal: int = 0
    """and how many of them are like one before."""
    slant: float = 0.0
    """Of a matrix that is to be an isometry: |QQᵀv / factor² - v| for a unit vector v."""
    strays: int = 0
    """Values that contradict what the scheme fixes of them, or that are no scheme's to change."""

    def __add__(self, other: Rows) -> Rows:
        if not other.count or not self.count:
            return replace(self if self.count else other, strays=self.strays + other.strays)
        return replace(
            self,
            count=self.count + other.count,
            least=min(self.least, other.least),
            greatest=max(self.greatest, other.greatest),
            compared=max(self.compared, other.compared),
            equal=max(self.equal, other.equal),
            slant=max(self.slant, other.slant),
            strays=self.strays + other.strays,
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """What one fill made: its number of elements, their sums, extremes and rows."""

    count: int = 0
    shift: float = 0.0
    first: float = 0.0
    """Sums of x - shift and (x - shift)²."""
    second: float = 0.0
    sampled: int = 0
    """How many elements are in the sums of z³ and z⁴, z = (x - shift) / std."""
    third: float = 0.0
    fourth: float = 0.0
    least: float = inf
    greatest: float = -inf
    rows: Rows = Rows()
    checksum: int = 0
    """Of all that was written, rows that no scheme may change included."""
    fill: Fill | None = None

    def __add__(self, other: Tally) -> Tally:
        """Of both, which must be of one fill."""
        assert (self.shift, self.fill) == (other.shift, other.fill), "sums about one shift"
        return replace(
            self,
            count=self.count + other.count,
            first=self.first + other.first,
            second=self.second + other.second,
            sampled=self.sampled + other.sampled,
            third=self.third + other.third,
            fourth=self.fourth + other.fourth,
            least=min(self.least, other.least),
            greatest=max(self.greatest, other.greatest),
            rows=self.rows + other.rows,
            checksum=(self.checksum + other.checksum) % 2**64,
        )


def measure(parts: Iterable[Tensor], fill: Fill) -> Tally:
    """Sums and extremes over what was written, rounding included.

    Sums of compiled loops and of NumPy's and torch's differ in their last digits, as single precision holds them.

    Args:
        parts: The memory; fixed elements are left out of it.
        fill: What wrote it.
    """
    tally = Tally(shift=fill.mean or 0.0, fill=fill)
    for part in filter(len, map(_flat, parts)):
        if (seen := look(part, tally.shift, fill.std)) is not None:
            tally += tally_of(seen, fill)
            continue
        each = every(len(part))
        for piece in part.split(_PIECE if part.device.type == "cpu" and fill.std != 0 else CHUNK):
            tally += _of_piece(piece, fill, each)
    return tally


def tally_of(seen: Seen, fill: Fill) -> Tally:
    """Of what a loop has looked at."""
    return Tally(
        seen.count,
        fill.mean or 0.0,
        seen.first,
        seen.second,
        seen.sampled,
        seen.third,
        seen.fourth,
        seen.least,
        seen.greatest,
        fill=fill,
    )


def _of_piece(piece: Tensor, fill: Fill, each: int) -> Tally:
    shift, std, count = fill.mean or 0.0, fill.std, len(piece)
    if std == 0 and (off := _offset(piece, shift)) is not None:
        return Tally(count, shift, off * count, off**2 * count, least=shift + off, greatest=shift + off, fill=fill)
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
    return Tally(count, shift, first, second, sampled, third, fourth, least, greatest, fill=fill)


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
    free = [fill for block, fill in fills if block.fixed is None] or [fill for _, fill in fills]
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


def rows_of_block(values: Tensor, fill: Fill, *, input_first: bool) -> Rows:
    """Of a whole block: all of its rows where they are few, whether it is as orthogonal as promised, and what of it is
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
    assert std, "its law is no constant"
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


def _slant(block: Tensor, isometry: Isometry) -> float:
    if isometry.summed and block.ndim > 2:
        signs = (-1.0) ** np.indices(block.shape[2:]).sum(0)
        turned = block * torch.from_numpy(signs).to(block.dtype)
        return max(_off(block.flatten(2).sum(2), isometry), _off(turned.flatten(2).sum(2), isometry))
    return _off(block, isometry)


def _off(whole: Tensor, isometry: Isometry) -> float:
    matrix = whole[: isometry.rows, : isometry.columns].reshape(isometry.rows, -1)
    return slant(matrix.T if matrix.shape[0] > matrix.shape[1] else matrix, isometry.factor)


# --- several processes ------------------------------------------------------------------------------------------------


def gather(tallies: Mapping[str, Sequence[Tally]], shards: Mapping[str, Shard]) -> dict[str, Sequence[Tally]]:
    """Those over all processes for the parameters that several processes hold."""
    spread = [(path, tally) for path, group in tallies.items() if shards[path].distributed for tally in group]
    if not spread:
        return dict(tallies)
    device = shards[spread[0][0]].local.device
    own = [tally if shards[path].counts else Tally() for path, tally in spread]
    sums = add_over_processes([_to_add(tally) for tally in own], device)
    ends = extremes_over_processes([_to_compare(tally) for _, tally in spread], device)
    added = iter(zip(sums, ends, strict=True))
    total = dict(tallies)
    for path in dict.fromkeys(path for path, _ in spread):
        total[path] = [_gathered(tally, *next(added)) for tally in tallies[path]]
    return total


def _to_add(tally: Tally) -> list[float]:
    # A checksum in parts, of which sums in float64 are exact.
    parts = [float(tally.checksum >> shift & 0xFFFF) for shift in (0, 16, 32, 48)]
    moments = [tally.count, tally.first, tally.second, tally.sampled, tally.third, tally.fourth]
    return [*map(float, moments), float(tally.rows.count), *parts]


def _to_compare(tally: Tally) -> list[float]:
    """Of which the greatest counts."""
    rows = tally.rows
    return [
        -tally.least,
        tally.greatest,
        float(rows.width),
        -rows.least,
        rows.greatest,
        float(rows.compared),
        float(rows.equal),
        rows.slant,
        float(rows.strays),
    ]


def _gathered(tally: Tally, sums: Sequence[float], ends: Sequence[float]) -> Tally:
    count, first, second, sampled, third, fourth, num_rows, *parts = sums
    least, greatest, width, lowest, highest, compared, equal, slant, strays = ends
    rows = Rows(round(num_rows), round(width), -lowest, highest, round(compared), round(equal), slant, round(strays))
    total = sum(round(part) << shift for part, shift in zip(parts, (0, 16, 32, 48), strict=True))
    return Tally(
        round(count),
        tally.shift,
        first,
        second,
        round(sampled),
        third,
        fourth,
        -least,
        greatest,
        rows,
        total % 2**64,
        tally.fill,
    )


def digest_of(checksum: int) -> str:
    """A checksum as the ledger shows it."""
    return f"{checksum:016x}"
