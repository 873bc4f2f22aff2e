"""What `gain: auto` sees behind a layer, and what it refuses to guess."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.layers.register import unregister_layer

AUTO = {"scheme": "xavier", "gain": "auto"}


def activation(layers: dict[str, Any], path: str, **inputs: Any) -> Any:
    plan = mf.plan(mf.parse({"input": inputs or {"shape": [4]}, "layers": layers}, init=AUTO))
    return plan.parameter(path).numbers["activation"]


def dense(**changes: Any) -> dict[str, Any]:
    return {"type": "Linear", "out_features": 4, **changes}


@pytest.mark.parametrize(
    ("behind", "seen"),
    [
        ({"act": "Tanh"}, "Tanh"),
        ({"drop": "Dropout", "act": "SiLU"}, "SiLU"),
        ({"norm": "LayerNorm", "act": "Tanh"}, "none"),
        ({"head": dense(), "act": "Tanh"}, "none"),
        ({"act": {"type": "LeakyReLU", "negative_slope": 0.2}}, "LeakyReLU(negative_slope=0.2)"),
        ({"path": {"type": "Residual", "layers": {"inner": "Tanh"}}, "act": "Tanh"}, "Tanh"),
    ],
)
def test_the_activation_that_follows(behind: dict[str, Any], seen: str) -> None:
    assert activation({"first": dense(), **behind}, "first.weight") == seen


def test_several_inputs_of_a_combinator_are_followed_each_alone() -> None:
    both = {
        "left": {"type": "ReLU", "inputs": "input.0"},
        "right": {"type": "Tanh", "inputs": "input.1"},
        "sum": {"type": "Add", "inputs": ["left", "right"]},
    }
    layers = {
        "a": dense(),
        "b": dense(inputs="input"),
        "both": {"type": "Sequential", "inputs": ["a", "b"], "layers": both},
    }
    assert activation(layers, "a.weight") == "ReLU"
    assert activation(layers, "b.weight") == "Tanh"


@pytest.mark.parametrize("behind", [{"gate": "GLU"}, {"own": "Unheard"}])
def test_what_is_not_known_is_not_guessed(behind: dict[str, Any]) -> None:
    @mf.register_layer
    class Unheard(nn.Module):
        """Somebody's layer, which says nothing of itself."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sin()

    try:
        with pytest.raises(mf.ForgeError) as refusal:
            activation({"first": dense(), **behind}, "first.weight")
    finally:
        unregister_layer("Unheard")
    (problem,) = refusal.value.problems
    assert problem.code == "MF026"
    assert "`gain: auto` needs to know what follows" in problem.message


def test_planning_does_not_depend_on_the_global_generator() -> None:
    @mf.register_layer(kind="activation")
    class Drawn(nn.Module):
        """An activation whose constructor draws."""

        def __init__(self) -> None:
            super().__init__()
            self.slope = float(torch.rand((), device="cpu"))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.slope * x

    spec = {"input": {"shape": [4]}, "layers": {"first": dense(), "act": "Drawn"}}
    try:
        torch.manual_seed(1)
        first, before = mf.plan(mf.parse(spec, init=AUTO)), torch.get_rng_state()
        torch.manual_seed(2)
        second = mf.plan(mf.parse(spec, init=AUTO))
        torch.manual_seed(1)
        assert torch.equal(torch.get_rng_state(), before)
    finally:
        unregister_layer("Drawn")
    assert first.parameter("first.weight").std == second.parameter("first.weight").std
