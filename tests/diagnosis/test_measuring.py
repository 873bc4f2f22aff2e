"""measuring: what is built and measured, and on what."""

from __future__ import annotations

import pytest
import torch

import modelforge as mf
from modelforge.diagnosis.measuring import BATCH, LEAST, Batch, Measured, measured_of, random_batch, size_of
from tests.diagnosis.nets import deep


def test_a_small_network_gets_all_and_a_large_one_less():
    assert size_of(deep("kaiming")).batch == BATCH
    assert size_of(deep("kaiming")).seeds == (0, 1, 2)
    conv = {"type": "Conv2d", "out_channels": 512, "kernel_size": 7, "padding": 3}
    large = mf.plan(mf.parse({"input": {"shape": [64, 96, 96]}, "layers": {"a": conv, "b": conv}}, init="kaiming"))
    found = size_of(large)
    assert (found.batch, len(found.seeds), found.jacobian) == (LEAST, 1, False)


def test_whole_numbers_are_below_the_size_of_the_table_that_reads_them():
    tables = {
        "small": {"type": "Embedding", "num_embeddings": 3, "embedding_dim": 4, "inputs": "kinds"},
        "large": {"type": "Embedding", "num_embeddings": 500, "embedding_dim": 4, "inputs": "words"},
        "sum": {"type": "Add", "inputs": ["small", "large"]},
    }
    inputs = {"kinds": {"shape": [9], "dtype": "int64"}, "words": {"shape": [9], "dtype": "int64"}}
    batch = random_batch(mf.plan(mf.parse({"input": inputs, "layers": tables}, init="kaiming")), 64)
    kinds, words = batch.inputs
    assert kinds.max() == 2
    assert words.max() > 400
    assert kinds.shape == (64, 9)


def test_a_model_that_is_built_is_measured_itself_on_the_batch_that_is_given():
    plan = deep("kaiming", depth=2)
    model = mf.build(plan, seed=5)
    with torch.no_grad():
        model.get_parameter("deep.0.hidden.weight").mul_(3)
    batch = Batch((torch.ones(6, 64),), "ones")
    found = measured_of(plan, size_of(plan, 6), model=model, batch=batch)
    assert isinstance(found, Measured)
    assert found.ledger is model.ledger
    assert found.probe.inputs[0].forward.mean == 1.0
    weights = next(one for one in found.histograms if one.path == "deep.0.hidden.weight")
    assert weights.high > 3 * 0.17


def test_measuring_leaves_no_hook_behind():
    plan = deep("kaiming", depth=2)
    model = mf.build(plan)
    measured_of(plan, size_of(plan), model=model)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_inputs_have_the_dtype_that_the_model_states(dtype):
    model = {"input": {"shape": [8]}, "layers": {"up": {"type": "Linear", "out_features": 4}}}
    plan = mf.plan(mf.parse({"model": model, "init": "xavier", "dtype": dtype}))
    for batch in (None, Batch((torch.ones(6, 8),), "ones")):
        found = measured_of(plan, size_of(plan, 6), batch=batch)
        assert isinstance(found, Measured), found
        assert found.batch.inputs[0].dtype == getattr(torch, dtype)
