"""What is known of values without reading all of them is what reading them gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modelforge.building.checksum import checksum, checksum_of_seen
from modelforge.inits.laws.seen import BLOCK, every, seen_of_equal, seen_of_few, words_of

COUNTS = (1, 7, BLOCK, 3 * BLOCK, 3 * BLOCK + 5, 40 * BLOCK)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_equal_values(dtype: torch.dtype, count: int):
    values = torch.full((count,), -0.3, dtype=dtype)
    seen = seen_of_equal(values, -0.25)
    assert seen is not None
    for first in (0, 2 * BLOCK):
        assert checksum_of_seen(seen, first) == checksum(values, first)
    off = values.double() + 0.25
    assert (seen.sums.count, seen.sums.least, seen.sums.greatest) == (count, float(values[0]), float(values[0]))
    assert (seen.sums.first, seen.sums.second) == pytest.approx((float(off.sum()), float((off**2).sum())), rel=1e-12)


def test_values_that_differ_or_are_missing():
    values = torch.zeros(40 * BLOCK)
    assert seen_of_equal(values[:0], 0.0) is None
    values[32 * BLOCK] = -0.0
    assert seen_of_equal(values, 0.0) is None


@pytest.mark.parametrize(("count", "places"), [(10, [0, 9]), (3 * BLOCK + 1, [5, BLOCK, 3 * BLOCK]), (4, [])])
def test_few_values_among_zeros(count: int, places: list[int]):
    values = torch.zeros(count)
    values[places] = torch.arange(1.0, 1 + len(places))
    seen = seen_of_few(np.array(places, np.int64), values[places].numpy(), count, 0.5, 2.0)
    assert checksum_of_seen(seen, 0) == checksum(values)
    z = (values.double() - 0.5) / 2
    found = seen.sums
    assert (found.first, found.second) == pytest.approx((float(2 * z.sum()), float((4 * z**2).sum())))
    assert (found.sampled, found.third, found.fourth) == pytest.approx(
        (count, float((z**3).sum()), float((z**4).sum()))
    )
    assert (found.least, found.greatest) == (float(values.min()), float(values.max()))


def test_words_of_each_size():
    for dtype, kind, each in ((torch.float64, np.uint32, 2), (torch.float32, np.uint32, 1), (torch.half, np.uint16, 1)):
        words, number = words_of(torch.ones(3, dtype=dtype)[::2])
        assert (words.dtype, number, len(words)) == (kind, each, 2 * each)


@pytest.mark.parametrize(("count", "number"), [(1, 1), (1 << 17, 2), (1 << 24, 16)])
def test_blocks_in_higher_moments(count: int, number: int):
    assert every(count) == number
