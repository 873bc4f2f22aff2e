"""The same bits on one process and on shards of any number of processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.multiprocessing.spawn import start_processes

from modelforge.building.shards import Shard, shard_of
from tests.building import sharded_work


def in_processes(work: Callable[[int, int, str], None], world: int, folder: Path) -> None:
    """Each process begins as a fork of one that has imported what they need, which is half of their time."""
    multiprocessing.set_forkserver_preload([sharded_work.__name__])
    folder.mkdir()
    start_processes(work, (world, str(folder)), nprocs=world, start_method="forkserver")


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_every_scheme_in_shards(world, tmp_path):
    in_processes(sharded_work.schemes, world, tmp_path / "run")


@pytest.mark.slow
def test_models_and_checkpoints_in_shards(tmp_path):
    for world in (2, 1, 3):
        in_processes(sharded_work.models, world, tmp_path / f"run-{world}")


def test_a_plain_tensor_is_a_shard_of_everything():
    shard = shard_of(torch.zeros(3, 4))
    assert (shard.shape, shard.offset, shard.counts, shard.distributed) == ((3, 4), (0, 0), True, False)
    assert shard.span(0, 12) is not None


@pytest.mark.parametrize(
    "box", [((0, 0), (3, 4)), ((1, 0), (2, 4)), ((0, 1), (3, 2)), ((2, 3), (1, 1)), ((3, 0), (0, 4))]
)
@pytest.mark.parametrize(("start", "stop"), [(0, 12), (3, 7), (5, 6), (8, 8)])
def test_a_box_takes_what_is_its_own(box, start, stop):
    (row, column), (height, width) = box
    whole = torch.arange(12.0).view(3, 4)
    here = whole[row : row + height, column : column + width]
    for local in (torch.full((height, width), -1.0), torch.full((width, height), -1.0).T):
        shard = Shard(local, (3, 4), (row, column))
        parts = shard.write(whole.view(-1)[start:stop], start)
        mine = here.reshape(-1)[(here.reshape(-1) >= start) & (here.reshape(-1) < stop)]
        assert [value for part in parts for value in part.reshape(-1).tolist()] == mine.tolist()
        assert torch.equal(local[local >= 0], mine)
        assert shard.count(start, stop) == len(mine)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4)])
def test_rows_of_a_whole_tensor(shape):
    tensor = torch.zeros(shape)
    values = torch.rand(shape)
    shard_of(tensor).write(values.view(-1), 0)
    assert torch.equal(tensor, values)
