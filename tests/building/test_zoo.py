"""Every model of conf/: torch's own tools work on it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.config.folder import options

ZOO = options("conf", "model")


SMALLER = {"vgg": ["model.args.hidden=64"]}
Built = tuple[Any, tuple[torch.Tensor, ...]]


@pytest.fixture(params=ZOO)
def built(request: pytest.FixtureRequest) -> Built:
    plan = mf.plan(mf.load("conf", [f"model={request.param}", *SMALLER.get(request.param, [])]))
    generator = torch.Generator().manual_seed(0)
    arrives = plan.inputs.values()
    return mf.build(plan).eval(), tuple(given(value.shape[1:], value.dtype, generator) for value in arrives)


def given(shape: tuple[int, ...], dtype: str, generator: torch.Generator) -> torch.Tensor:
    if dtype == "int64":
        return torch.randint(17, (4, *shape), generator=generator)
    return torch.randn(4, *shape, generator=generator)


def test_compile(built: Built) -> None:
    model, batch = built
    torch._dynamo.reset()
    # torch compiles recurrent layers, hand-written ones too, only with this switch of its own.
    with torch.no_grad(), torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(*batch), model(*batch))


def test_export(built: Built) -> None:
    model, batch = built
    exported = torch.export.export(model, batch)
    torch.testing.assert_close(exported.module()(*batch), model(*batch))


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies(built: Built, clone: Any) -> None:
    model, batch = built
    twin = clone(model)
    assert torch.equal(twin(*batch), model(*batch))
    assert twin.ledger.to_dict() == model.ledger.to_dict()


def test_state_dict(built: Built) -> None:
    model, batch = built
    twin = copy.deepcopy(model)
    mf.initialize(twin, {"scheme": "normal", "std": 1.0}, seed=1)
    assert not torch.equal(twin(*batch), model(*batch))
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(*batch), model(*batch))
