"""One pass of a module is recorded in each mode; what cannot be followed is named with its place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from tests.tracing.test_steps import Mixer, Net, linear, refused


def branches(module: Any, x: Tensor) -> Tensor:
    return module.a(x) if x.sum() > 0 else x


def test_decisions_by_values():
    inner = Net(branches, a=linear())
    text = refused(Net(lambda m, x: m.last(m.inner(m.first(x))), first=linear(), inner=inner, last=Mixer()))
    assert "error[MF131]: `forward` of Net cannot be followed at `return module.a(x) if x.sum() > 0 else x`" in text
    assert "--> inner" in text
    assert "error[MF130]: Mixer is not a registered layer" in text


def test_a_layer_that_runs_twice():
    text = refused(Net(lambda m, x: m.a(m.a(x)), a=linear()))
    assert (
        "error[MF133]: `a` is called twice\n  --> a\n   = help: a layer runs once; parameters are shared by `tie`"
        in text
    )
    inner = nn.Sequential(linear(), nn.ReLU())
    assert "`a` is called twice" in refused(Net(lambda m, x: m.a(m.a(x)), a=inner))


def test_what_runs_without_gradients_is_refused():
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                h = self.backbone(x)
            return self.head(h)

    with pytest.raises(mf.ForgeError, match="runs without gradients"):
        mf.from_module(Frozen(), torch.zeros(2, 3))
