"""Every model of conf/: torch's own tools work on it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.config import options

ZOO = options("conf", "model")


@pytest.fixture(params=ZOO)
def built(request: pytest.FixtureRequest) -> tuple[Any, torch.Tensor]:
    plan = mf.plan(mf.load("conf", [f"model={request.param}"]))
    (arrives,) = plan.inputs.values()
    batch = torch.randn(4, *arrives.shape[1:], generator=torch.Generator().manual_seed(0))
    return mf.build(plan).eval(), batch


def test_compile(built: tuple[Any, torch.Tensor]) -> None:
    model, batch = built
    torch._dynamo.reset()
    # torch compiles recurrent layers, hand-written ones too, only with this switch of its own.
    with torch.no_grad(), torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(batch), model(batch))


def test_export(built: tuple[Any, torch.Tensor]) -> None:
    model, batch = built
    exported = torch.export.export(model, (batch,))
    torch.testing.assert_close(exported.module()(batch), model(batch))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies(built: tuple[Any, torch.Tensor], clone: Any) -> None:
    model, batch = built
    twin = clone(model)
    assert torch.equal(twin(batch), model(batch))
    assert twin.ledger.to_dict() == model.ledger.to_dict()


def test_state_dict(built: tuple[Any, torch.Tensor]) -> None:
    model, batch = built
    twin = copy.deepcopy(model)
    mf.initialize(twin, {"scheme": "normal", "std": 1.0}, seed=1)
    assert not torch.equal(twin(batch), model(batch))
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(batch), model(batch))
