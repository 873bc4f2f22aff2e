"""Checksums: the same wherever the parts of a parameter lie, and another one for each swap of two values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from modelforge.building.checksum import checksum, checksum_of
from modelforge.building.shards import Shard, shard_of


def test_each_single_swap_of_two_values_shows():
    values = torch.randn(40, 60, generator=torch.Generator().manual_seed(0))
    before = checksum(values)
    flat = values.view(-1)
    for one, other in ((0, 1), (0, 1024), (5, 2399), (1023, 1024)):
        changed = flat.clone()
        changed[one], changed[other] = flat[other], flat[one]
        assert checksum(changed) != before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int8, torch.complex64], ids=str)
def test_a_checksum_does_not_depend_on_where_the_parts_are(dtype):
    values = (torch.randn(37, 70, generator=torch.Generator().manual_seed(0)) * 100).to(dtype)
    whole = checksum(values)
    assert whole == checksum(values.t().contiguous().t())
    flat = values.view(-1)
    assert whole == (checksum(flat[:1001]) + checksum(flat[1001:], 1001)) % 2**64
    for dim in (0, 1):
        parts = [
            Shard(part, (37, 70), (start, 0) if dim == 0 else (0, start), distributed=True)
            for start, part in ((0, values.narrow(dim, 0, 13)), (13, values.narrow(dim, 13, values.shape[dim] - 13)))
        ]
        assert whole == sum(map(checksum_of, parts)) % 2**64
    assert checksum_of(shard_of(values)) == whole


def test_the_compiled_loop_gives_the_same():
    compiled = pytest.importorskip("modelforge.inits.laws.compiled", reason="the extra `fast`")
    from modelforge.inits.laws.seen import FACTORS

    values = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    words = values.numpy().view("uint32")
    for first in (0, 1, 1023, 1024, 5000):
        assert int(compiled.checksum(words, FACTORS, first)) == _by_numpy(values, first)


def _by_numpy(values: Tensor, first: int) -> int:
    import sys

    hidden = sys.modules.pop("modelforge.inits.laws.compiled")
    try:
        return checksum(values, first)
    finally:
        sys.modules["modelforge.inits.laws.compiled"] = hidden
