"""A built model is a plain module: torch's own tools work on it."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from tests.models import MODELS, batch, spec

each = pytest.mark.parametrize("name", MODELS)


def built(name: str, **changes: Any) -> Any:
    return mf.build(spec(name), **changes).eval()


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@each
def test_compile(name):
    model = built(name)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    # torch.compile takes recurrent layers, ours or hand-written, only when asked to.
    with torch.no_grad(), torch._dynamo.config.patch(allow_rnn=True):
        assert torch.allclose(compiled(batch(name)), model(batch(name)), atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a compiler")
@pytest.mark.parametrize("name", ["mlp", "residual", "transformer", "attention"])
def test_compile_with_inductor(name):
    model = built(name)
    torch._dynamo.reset()
    with torch.no_grad():
        assert torch.allclose(torch.compile(model, fullgraph=True)(batch(name)), model(batch(name)), atol=1e-5)


@each
def test_export(name):
    model = built(name)
    exported = torch.export.export(model, (batch(name),))
    assert torch.allclose(exported.module()(batch(name)), model(batch(name)), atol=1e-6)
    assert exported.state_dict.keys() == state(model).keys()


@each
def test_deepcopy(name):
    model = built(name)
    twin = copy.deepcopy(model)
    assert_equal(state(twin), state(model))
    assert torch.equal(twin(batch(name)), model(batch(name)))
    assert twin.ledger is model.ledger
    with torch.no_grad():
        next(twin.parameters()).zero_()
    assert next(model.parameters()).any()


@each
def test_pickle(name):
    model = built(name)
    twin = pickle.loads(pickle.dumps(model))
    assert_equal(state(twin), state(model))
    assert torch.equal(twin(batch(name)), model(batch(name)))
    assert twin.ledger.to_dict() == model.ledger.to_dict()


@each
def test_a_plan_can_be_pickled_and_copied(name):
    plan = mf.plan(spec(name))
    for twin in (pickle.loads(pickle.dumps(plan)), copy.deepcopy(plan)):
        assert twin.to_dict() == plan.to_dict()
        assert_equal(state(mf.build(twin)), state(mf.build(plan)))


@each
def test_state_dict_round_trip(name):
    model, other = built(name), built(name, seed=1)
    assert not torch.equal(model(batch(name)), other(batch(name)))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(model(batch(name)), other(batch(name)))


@each
def test_training_changes_every_parameter(name):
    model = mf.build(spec(name))
    before = {path: weight.detach().clone() for path, weight in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(batch(name)).square().sum().backward()
    optimizer.step()
    for path, weight in model.named_parameters():
        assert not torch.equal(weight, before[path]), path


@each
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_dtype(name, dtype):
    model = built(name, dtype=dtype)
    floating = [value for value in state(model).values() if value.is_floating_point()]
    assert floating
    assert {value.dtype for value in floating} == {dtype}
    x = batch(name)
    assert model(x.to(dtype) if x.is_floating_point() else x).dtype == dtype


def test_a_dtype_must_be_floating():
    with pytest.raises(TypeError, match=r"dtype must be a floating-point type, .* but is torch\.int8"):
        mf.build(spec("mlp"), dtype=torch.int8)


def test_buffers_hold_what_their_layers_compute():
    model = mf.build(spec("cnn"))
    assert torch.equal(model.norm.running_var, torch.ones(8))
    assert model.norm.num_batches_tracked.item() == 0


def test_the_meta_device_has_no_values():
    with pytest.raises(ValueError, match=r"there are no values on the meta device: `mf\.plan` gives shapes"):
        mf.build(spec("mlp"), device="meta")


def test_it_is_in_training_mode_and_trainable():
    model = mf.build(spec("mlp"))
    assert model.training
    assert all(weight.requires_grad and weight.is_leaf for weight in model.parameters())


def test_building_inside_no_grad_or_another_default_dtype_changes_nothing():
    expected = state(built("mlp"))
    with torch.no_grad():
        model = mf.build(spec("mlp"))
    assert all(weight.requires_grad for weight in model.parameters())
    assert_equal(state(model), expected)
    with torch.device("meta"):
        assert_equal(state(mf.build(spec("mlp"))), expected)
    try:
        torch.set_default_dtype(torch.float64)
        assert_equal(state(mf.build(spec("mlp"))), expected)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("device", ["foo", "cuda:97", "hpu", None])
def test_a_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=r"the device .* cannot be used: "):
        mf.build(spec("mlp"), device=device)


@pytest.mark.parametrize("wrong", [{}, None, "model=lstm"])
def test_what_cannot_be_built(wrong):
    with pytest.raises(TypeError, match=r"build takes a ModelSpec or a Plan, .* but gets (a |None)"):
        mf.build(wrong)


@pytest.mark.parametrize("seed", ["a", True, 1.0, None])
def test_seeds_are_integers(seed):
    with pytest.raises(TypeError, match="a seed must be an integer, but is "):
        mf.initialize(nn.Linear(2, 2), "xavier", seed=seed)
    if seed is not None:
        with pytest.raises(TypeError, match="a seed must be an integer, but is "):
            mf.build(spec("mlp"), seed=seed)


@pytest.mark.parametrize(("module", "init"), [(None, "xavier"), ({}, "xavier"), (nn.Linear(2, 2), None)])
def test_what_cannot_be_initialised(module, init):
    with pytest.raises(TypeError, match="initialize takes an "):
        mf.initialize(module, init)
