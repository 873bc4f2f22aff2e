"""Every example goes to one process once, in the order of one process."""

from __future__ import annotations

import pytest

from modelforge.train.data.batches import Shuffle
from modelforge.train.data.distributed_samplers import (
    DataShard,
    EvaluationSampler,
    TrainSampler,
    evaluation_share,
    train_share,
)

SIZES = [(rows, size, processes) for rows in (1, 2, 7, 16, 41, 64) for size in (1, 4, 8) for processes in (1, 2, 3)]


@pytest.mark.parametrize(("rows", "size", "processes"), SIZES)
def test_a_step_of_all_processes_is_a_batch_of_one_with_as_many_examples(rows: int, size: int, processes: int):
    order = [*Shuffle(rows, seed=3)]
    each = [[*TrainSampler(Shuffle(rows, seed=3), size, DataShard(rank, processes))] for rank in range(processes)]
    assert {len(batches) for batches in each} == {-(-rows // (size * processes))}
    for index, batches in enumerate(zip(*each, strict=True)):
        shares = [train_share(DataShard(rank, processes), size, rows, index) for rank in range(processes)]
        counted = [row for share, batch in zip(shares, batches, strict=True) if share.own for row in batch]
        first = index * size * processes
        assert counted == order[first : first + size * processes]
        assert sum(share.own for share in shares) == len(counted)
        assert all(
            len(batch) in (share.own, len(batches[0])) and batch for share, batch in zip(shares, batches, strict=True)
        )


@pytest.mark.parametrize(("rows", "size", "processes"), SIZES)
def test_an_evaluation_has_the_batches_of_one_process_in_turn(rows: int, size: int, processes: int):
    one = [[*range(first, min(first + size, rows))] for first in range(0, rows, size)]
    each = [[*EvaluationSampler(rows, size, DataShard(rank, processes))] for rank in range(processes)]
    assert {len(batches) for batches in each} == {-(-len(one) // processes)}
    counted: list[list[int]] = []
    for index, batches in enumerate(zip(*each, strict=True)):
        for rank, batch in enumerate(batches):
            share = evaluation_share(DataShard(rank, processes), size, rows, index)
            assert batch
            assert share.own in (0, len(batch))
            counted += [batch] if share.own else []
    assert counted == one


def test_a_resumed_epoch_goes_on_where_it_was_left():
    whole = [*TrainSampler(Shuffle(41, 3), 4, DataShard(1, 2))]
    rest = TrainSampler(Shuffle(41, 3, skip=(0, 2 * 4 * 2)), 4, DataShard(1, 2))
    assert [*rest] == whole[2:]


def test_the_next_epoch_has_another_order():
    deal = TrainSampler(Shuffle(41, 3), 4, DataShard(1, 2))
    first = [*deal]
    deal.sampler.set_epoch(1)
    assert [row - 41 for batch in deal for row in batch] != [row for batch in first for row in batch]
