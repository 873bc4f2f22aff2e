"""Tallies: sums, extremes and facts about rows are those of the values, however these are cut into parts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modelforge.building.checksum import checksum, checksum_of_seen
from modelforge.building.shards import shard_of
from modelforge.building.tally import Rows, Tally, gather, measure, measure_whole, rows_of_chunk, rows_of_matrix
from modelforge.core.matrix import Matrix
from modelforge.core.rng import Key
from modelforge.inits import Fill, Moments, Normal
from modelforge.inits.fills import Isometry
from modelforge.inits.laws.law import Constant

STD = 0.5
PROMISE = Moments.of(Normal(0.1, STD))
FILL = Fill(PROMISE)


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return (0.1 + STD * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_sums_and_extremes_are_those_of_the_values(dtype: torch.dtype):
    values = drawn(40, 50, dtype=dtype)
    tally = measure([values], FILL)
    off = values.double() - 0.1
    assert (tally.sums.count, tally.shift) == (2000, 0.1)
    assert tally.sums.first == pytest.approx(float(off.sum()), abs=1e-3)
    assert tally.sums.second == pytest.approx(float((off**2).sum()), rel=1e-5)
    assert tally.sums.third / tally.sums.sampled == pytest.approx(float(((off / STD) ** 3).mean()), abs=1e-3)
    assert tally.sums.fourth / tally.sums.sampled == pytest.approx(float(((off / STD) ** 4).mean()), rel=1e-4)
    # Extremes of float64 are seen in single precision, as the check allows for.
    assert (tally.sums.least, tally.sums.greatest) == (float(values.min().float()), float(values.max().float()))


def test_parts_add_up_to_the_whole():
    values = drawn(64, 64)
    whole = measure([values], FILL)
    parts = measure([values[:10]], FILL) + measure([values[10:]], FILL)
    assert parts.sums.count == whole.sums.count
    assert (parts.sums.least, parts.sums.greatest) == (whole.sums.least, whole.sums.greatest)
    assert parts.sums.second == pytest.approx(whole.sums.second, rel=1e-6)
    assert measure([values[:10], values[10:]], FILL).sums.second == pytest.approx(whole.sums.second, rel=1e-6)


def test_tallies_of_different_fills_do_not_add_up():
    with pytest.raises(AssertionError, match="sums about one shift"):
        _ = measure([drawn(4)], FILL) + measure([drawn(4)], Fill(Moments(0.0, 1.0)))


def test_checksums_add_up_modulo_their_size():
    assert (Tally(checksum=2**64 - 1) + Tally(checksum=3)).checksum == 2


def test_nothing_has_no_extremes():
    tally = measure([torch.zeros(0, 3)], FILL)
    assert (tally.sums.count, tally.sums.least, tally.sums.greatest) == (0, float("inf"), float("-inf"))


def test_complex_numbers_count_as_their_two_parts():
    tally = measure([torch.tensor([1 + 2j, 3 - 4j])], Fill())
    assert (tally.sums.count, tally.sums.first, tally.sums.second) == (4, 2.0, 30.0)
    assert (tally.sums.least, tally.sums.greatest) == (-4.0, 3.0)


def test_constants_far_from_their_target_are_seen_exactly():
    tally = measure([torch.full((1000,), 1e8)], Fill(Moments(1.0, 0.0)))
    assert (tally.sums.least, tally.sums.greatest) == (1e8, 1e8)
    assert tally.sums.first == pytest.approx(1000 * (1e8 - 1))


def test_a_whole_parameter_is_measured_with_its_checksum():
    values = drawn(6, 5)
    fixed = (Matrix((1, 5), 5, 1, fixed=0.0), Fill())
    tally = measure_whole([fixed, (Matrix((5, 5), 5, 5, start=1), FILL)], shard_of(values))
    assert (tally.fill, tally.sums.count, tally.checksum) == (FILL, 30, checksum(values))


def test_rows_of_a_chunk_are_the_whole_ones_in_it():
    """A chunk from element 3 on, of rows of 10: seven elements of a row, four whole rows, and three of the next."""
    values = drawn(50)
    rows = rows_of_chunk(values, 3, 10, 50, PROMISE)
    squares = ((values[7:47].view(4, 10).double() - 0.1) / STD).square().mean(1)
    assert (rows.count, rows.width, rows.equal) == (4, 10, 0)
    assert (rows.least, rows.greatest) == pytest.approx((float(squares.min()), float(squares.max())), rel=1e-5)
    assert rows_of_chunk(values[:9], 3, 10, 50, PROMISE) == Rows()
    assert rows_of_chunk(values, 0, 10, 50, Moments(0.0, 1.0)) == Rows()


def test_equal_rows_are_counted():
    values = drawn(8, 20)
    values[5] = values[2]
    values[7] = values[2]
    rows = rows_of_matrix(values, FILL, input_first=False)
    assert (rows.compared, rows.equal) == (8, 2)
    assert rows_of_matrix(values.T.contiguous(), FILL, input_first=True).equal == 2


def test_an_isometry_has_no_slant_and_a_stretched_one_has():
    """|QQᵀv/f² - v| for QQᵀ = (1.1·f)²·I is 0.21."""
    matrix = torch.linalg.qr(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)))[0].T * 2
    promise = Fill(Moments(isometry=Isometry(2.0, 4, 6)))
    assert rows_of_matrix(matrix, promise, input_first=False).slant < 1e-5
    assert rows_of_matrix(1.1 * matrix, promise, input_first=False).slant == pytest.approx(0.21, abs=1e-4)


def test_one_process_has_nothing_to_gather():
    tallies = {"weight": [measure([drawn(4, 5)], FILL)]}
    assert gather(tallies, {"weight": shard_of(drawn(4, 5))}) == tallies


@pytest.mark.parametrize("count", [1, 1023, 1024, 5000, (1 << 16) + 1])
@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -3.5, 1e30])
def test_what_is_seen_of_a_constant_is_what_reading_it_again_finds(count: int, value: float):
    out = torch.full((count,), torch.nan)
    seen = Constant(value).draw_(out, Key(0))
    assert seen is not None
    assert seen.sums == measure([out], Fill(Moments.of(Constant(value)))).sums
    assert checksum_of_seen(seen, 2048) == checksum(out, 2048)
