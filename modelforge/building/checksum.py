"""checksum: values → a number that changes with any of them, at the speed of memory.

Σ wᵢ·kᵢ modulo 2⁶⁴ over 32-bit words (or shorter ones, where values are shorter), with odd factors that depend on the
place: one changed word always shows, and so do words that change places, but for a chance of about 2⁻⁶⁰. Sums over
parts add up, so that chunks and shards are read where they are. It finds mistakes; it is not a seal against forgery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

import numpy as np
from torch import Tensor

from modelforge.building.shards import Shard
from modelforge.core.rng import CHUNK
from modelforge.inits.laws.drawing import loaded
from modelforge.inits.laws.seen import BLOCK, FACTORS, Seen, block_factor, words_of

_WIDE = FACTORS.astype(np.uint64)
"""Words of a block have factors of their own; each block has one more."""
_MASK = (1 << 64) - 1


def checksum(values: Tensor, first: int = 0) -> int:
    """The checksum of values that lie side by side in the whole parameter, beginning at element `first`."""
    total = 0
    for piece in values.detach().reshape(-1).split(CHUNK):
        words, each = words_of(piece)
        total += _run(words, first * each)
        first += len(piece)
    return total & _MASK


def checksum_of_seen(seen: Seen, first: int) -> int | None:
    """The checksum of values that were seen when they were drawn; None where they begin inside a block."""
    if first * seen.each % BLOCK:
        return None
    return _weighted(seen.blocks, first * seen.each // BLOCK)


def checksum_of(shard: Shard) -> int:
    """The checksum of the part of a parameter that lives here; 0 where another process counts it."""
    if not shard.distributed:
        return checksum(shard.local)
    if not shard.counts:
        return 0
    total = 0
    for values, places in _rows(shard):
        words, each = words_of(values)
        spread = (places[:, None] * each + np.arange(each)).reshape(-1)
        total += int(
            (words * _WIDE[spread % BLOCK] * block_factor((spread // BLOCK).astype(np.uint64))).sum(dtype=np.uint64)
        )
    return total & _MASK


def parts_of(checksum: int) -> list[float]:
    """A checksum in parts of 16 bits, of which sums in float64 are exact."""
    return [float(checksum >> shift & 0xFFFF) for shift in (0, 16, 32, 48)]


def whole_of(parts: Iterable[float]) -> int:
    """The checksum of such parts, or of sums of them."""
    return sum(round(part) << shift for part, shift in zip(parts, (0, 16, 32, 48), strict=True)) & _MASK


def digest_of(checksum: int) -> str:
    """A checksum as the ledger shows it."""
    return f"{checksum:016x}"


def _rows(shard: Shard) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Rows of a box, some at a time: their values, and which elements of the whole these are."""
    rows = max(1, CHUNK // max(1, prod(shard.local.shape[1:])))
    start, *others = shard.offset or (0,)
    for part in shard.local.split(rows) if shard.shape else (shard.local,):
        spans = [np.arange(begin, begin + size) for begin, size in zip((start, *others), part.shape, strict=False)]
        places = np.ravel_multi_index(np.ix_(*spans), shard.shape) if spans else np.zeros(1, np.int64)
        start += len(spans[0]) if spans else 0
        yield part, places.reshape(-1)


def _run(words: np.ndarray, first: int) -> int:
    """Of words side by side, of which the first has this number."""
    compiled = loaded()
    if compiled is not None and words.dtype == np.uint32:
        return int(compiled.checksum(words, FACTORS, np.uint64(first)))
    total, head = 0, min(len(words), -first % BLOCK)
    if head:
        begin = first % BLOCK
        total += _sums(words[None, :head], _WIDE[begin : begin + head], first // BLOCK)
    stop = head + (len(words) - head) // BLOCK * BLOCK
    for start in range(head, stop, 64 * BLOCK):
        blocks = words[start : min(start + 64 * BLOCK, stop)].reshape(-1, BLOCK)
        total += _sums(blocks, _WIDE, (first + start) // BLOCK)
    if stop < len(words):
        total += _sums(words[None, stop:], _WIDE[: len(words) - stop], (first + stop) // BLOCK)
    return total


def _sums(blocks: np.ndarray, factors: np.ndarray, first: int) -> int:
    """Of blocks side by side, of which the first has this number."""
    return _weighted((blocks * factors).sum(axis=1, dtype=np.uint64), first)


def _weighted(sums: np.ndarray, first: int) -> int:
    """Of the sums of blocks side by side, of which the first has this number."""
    return int((sums * block_factor(np.uint64(first) + np.arange(len(sums), dtype=np.uint64))).sum(dtype=np.uint64))
