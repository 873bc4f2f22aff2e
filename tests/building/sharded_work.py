"""What each process of `test_shards.py` does; a module of its own, because new processes import it by name."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Placement, Replicate, Shard, empty

import modelforge as mf
from modelforge.building import draw
from modelforge.building.shards import exchange, shard_of
from modelforge.building.tally import gather
from modelforge.inits import Fill, Matrix
from modelforge.planning.assign import ParameterPlan
from tests.inits.case import Case
from tests.inits.catalogue import CASES

LAYERS: dict[str, Any] = {
    "embed": {"type": "Embedding", "num_embeddings": 11, "embedding_dim": 10, "padding_idx": 3},
    "rnn": {"type": "LSTM", "hidden_size": 5},
    "mix": {"type": "TransformerEncoderLayer", "nhead": 1, "dim_feedforward": 13},
    "norm": {"type": "BatchNorm1d"},
    "head": {"type": "Linear", "out_features": 7},
}
MODEL = {"input": {"shape": [6], "dtype": "int64"}, "layers": LAYERS}
INIT = {
    "scheme": "orthogonal",
    "recurrent": "xavier",
    "bias": {"scheme": "normal", "std": 1},
    "types": {"Linear": "torch"},
    "params": {"mix.self_attn.*_proj*weight": "mimetic"},
}


def spec() -> mf.ModelSpec:
    return mf.parse(MODEL, init=INIT, seed=3)


def schemes(rank: int, world: int, folder: str) -> None:
    """Every scheme on every kind of shard gives what one process gives, with chunks that no shard's edge respects."""
    mesh = _join(rank, world, folder)
    draw.CHUNK = 1000
    _transposed(mesh)
    for case in CASES:
        block = max(case.matrices.values(), key=lambda block: len(block.shape))
        placements: list[Placement] = [Replicate(), *(Shard(dim) for dim in range(len(block.shape)))]
        item = _planned(case, block)
        alone = torch.full(block.shape, torch.nan)
        own = draw.draw([item], {"p": shard_of(alone)}, 0)
        for placement in placements:
            spread = empty(block.shape, device_mesh=mesh, placements=[placement])
            shards = {"p": shard_of(spread)}
            tallies = gather(draw.draw([item], shards, 0), shards)["p"]
            assert torch.equal(spread.full_tensor(), alone), f"{case} {placement}"
            assert [tally.sums.count for tally in tallies] == [tally.sums.count for tally in own["p"]], (
                f"{case} {placement}"
            )
            for mine, whole in zip(tallies, own["p"], strict=True):
                sums = [[one.sums.first, one.sums.second] for one in (mine, whole)]
                torch.testing.assert_close(*sums, rtol=1e-4, atol=1e-4)
    _leave()


def _transposed(mesh: Any) -> None:
    """What is stored inputs first, however it is sharded."""
    for case in CASES:
        block = max(case.matrices.values(), key=lambda block: len(block.shape))
        if len(block.shape) < 2:
            continue
        item = _planned(case, block)
        alone = torch.full(block.shape, torch.nan)
        (own,) = draw.draw([item], {"p": shard_of(alone)}, 0)["p"]
        item = replace(item, shape=exchange(block.shape, (0, 1)), transposed=(0, 1))
        for dim in (0, 1):
            spread = empty(item.shape, device_mesh=mesh, placements=[Shard(dim)])
            shards = {"p": shard_of(spread)}
            (tally,) = gather(draw.draw([item], shards, 0), shards)["p"]
            assert torch.equal(spread.full_tensor(), alone.transpose(0, 1)), f"{case} {dim}"
            assert tally.sums.count == own.sums.count


def models(rank: int, world: int, folder: str) -> None:
    """A model built in shards is the one that is built alone, and so is its checkpoint from another world size."""
    mesh = _join(rank, world, folder)
    alone = mf.build(spec())
    model = mf.build(spec(), shard=lambda module: fully_shard(module, mesh=mesh))
    assert {type(weight).__name__ for weight in model.parameters()} == {"DTensor"}
    assert mf.digest(model) == mf.digest(alone)
    assert mf.digest(model, decimals=6) == mf.digest(alone, decimals=6)
    assert model.ledger.ok
    for entry, other in zip(model.ledger, alone.ledger, strict=True):
        assert (entry.path, entry.shape, entry.verdict) == (other.path, other.shape, other.verdict)
        torch.testing.assert_close(
            [entry.measured_mean, entry.measured_std], [other.measured_mean, other.measured_std], rtol=1e-5, atol=1e-5
        )
    assert torch.equal(model.get_buffer("norm.running_var"), torch.ones(6))
    half = mf.build(spec(), dtype=torch.bfloat16, shard=lambda module: fully_shard(module, mesh=mesh))
    assert mf.digest(half) == mf.digest(mf.build(spec(), dtype=torch.bfloat16))
    checkpoints = sorted(Path(folder).parent.glob("checkpoint-*"))
    dist.barrier()  # nobody writes one before all have looked
    for saved in checkpoints:
        other = mf.build(spec(), seed=99, shard=lambda module: fully_shard(module, mesh=mesh))
        assert mf.digest(other) != mf.digest(alone)
        load(other.state_dict(), checkpoint_id=saved)
        assert mf.digest(other) == mf.digest(alone), str(saved)
    save(model.state_dict(), checkpoint_id=Path(folder).parent / f"checkpoint-{world}")
    _leave()


def _planned(case: Case, block: Matrix) -> ParameterPlan:
    fill: Fill = case.initializer.resolve(block)
    return ParameterPlan(
        "p", "p", block.shape, "float32", block.role, (), case.initializer, ((block, fill),), fill.mean, fill.std
    )


def _join(rank: int, world: int, folder: str) -> Any:
    patience = timedelta(minutes=2)  # processes that wait for each other are to fail, not to hang
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world, timeout=patience)
    return init_device_mesh("cpu", (world,))


def _leave() -> None:
    """Ends a process whose work is done and right. Not by returning: gloo's threads now and then abort an exit."""
    dist.barrier()
    os._exit(0)
