"""What is seen of float32 values while a core's own cache still holds them.

Sums, extremes and checksums are of all values, but for those that are known in closed form: of a constant, one value in
16,384 is read. Third and fourth moments are of some blocks of a long array, evenly spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from modelforge.core.rng import Key

BLOCK: Final = 1 << 10
"""Values that are looked at together. Sums within a block are in single precision, those of blocks in double."""
FACTORS: Final = np.concatenate([*Key(0, "checksum").words(BLOCK)]).view(np.uint32) | np.uint32(1)
"""Of the words of a block, in its checksum."""
ROW_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
"""Times 1, 3, 5, …: of the words of a row, in its key."""


def block_factor(numbers: Any) -> Any:
    """An odd factor for each block of words (uint64): the mixing steps of splitmix64 (Steele, Lea and Flood 2014)."""
    z = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) | np.uint64(1)


_LOOK: Final = 1 << 14
"""Of so many equal values one is read: torch's threads fill twice as many at least."""
_ALL: Final = 1 << 16
"""At least so many values are in third and fourth moments, if there are as many,"""
_EVERY: Final = 16
"""and at least one block of so many."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Number, sums and extremes of values, centred at a mean m and in units of a std s."""

    count: int = 0
    first: float = 0.0
    """Sums of x - m and of (x - m)²."""
    second: float = 0.0
    sampled: int = 0
    """How many values are in the sums of z³ and z⁴, z = (x - m) / s."""
    third: float = 0.0
    fourth: float = 0.0
    least: float = inf
    greatest: float = -inf


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of flat values."""

    sums: Sums
    blocks: np.ndarray
    """Of each block of words the sum of its words times their factors: its part in a checksum."""
    each: int = 1
    """How many words a value has."""


def words_of(values: Tensor) -> tuple[np.ndarray, int]:
    """The bits of values as words of 32 bits, or shorter ones, where values are shorter; and how many each has."""
    flat = values.detach().resolve_conj().resolve_neg().to("cpu").reshape(-1).contiguous()
    size = flat.element_size()
    kinds: dict[int, Any] = {1: np.uint8, 2: np.uint16}
    if not len(flat):
        return np.zeros(0, np.uint32), 1
    return flat.view(torch.uint8).numpy().view(kinds.get(size, np.uint32)), max(1, size // 4)


def seen_of_equal(values: Tensor, mean: float) -> Seen | None:
    """What there is to see of flat values that were filled with one: a look at some of them tells whether they are
    equal. A look at all of them would take as long as the fill."""
    count = len(values)
    words, each = words_of(values[::_LOOK].clone(memory_format=torch.contiguous_format))
    looked = words.reshape(-1, each)
    if not count or (looked != looked[0]).any():
        return None
    stored = float(values[0])
    off = stored - mean
    blocks = np.full(-(-count * each // BLOCK), _of_block(looked[0], BLOCK))
    if rest := count * each % BLOCK:
        blocks[-1] = _of_block(looked[0], rest)
    return Seen(Sums(count, off * count, off**2 * count, least=stored, greatest=stored), blocks, each)


def _of_block(words: np.ndarray, length: int) -> np.uint64:
    """The part of a block, or of the beginning of one, in a checksum: the words of one value over and over."""
    factors = FACTORS[:length].reshape(-1, len(words)).sum(axis=0, dtype=np.uint64)
    return (factors * words).sum(dtype=np.uint64)


def seen_of_few(places: np.ndarray, values: np.ndarray, count: int, mean: float, std: float | None) -> Seen:
    """What there is to see of `count` float32 values that are 0 but for `values` at `places`, without a look at them.

    Third and fourth moments are of all values.
    """
    zeros, off = count - len(values), values.astype(np.float64) - mean
    first, second, third, fourth = (float((off**power).sum()) + zeros * (-mean) ** power for power in (1, 2, 3, 4))
    ends = [float(end(values)) for end in (np.min, np.max) if len(values)] + [0.0] * bool(zeros)
    blocks = np.zeros(-(-count // BLOCK), np.uint64)
    words = values.view(np.uint32).astype(np.uint64)
    np.add.at(blocks, places // BLOCK, words * FACTORS[places % BLOCK])
    sampled = (count, third / std**3, fourth / std**4) if std else (0, 0.0, 0.0)
    return Seen(Sums(count, first, second, *sampled, min(ends), max(ends)), blocks)


def every(count: int) -> int:
    """Of so many values, one of how many blocks is in third and fourth moments."""
    return max(1, min(_EVERY, count // _ALL))


def in_single(mean: float, std: float | None) -> bool:
    """Whether squares in single precision are good enough for sums over values with these moments."""
    return std is not None and 1e-15 < std < 1e15 and abs(mean) < 1e30
