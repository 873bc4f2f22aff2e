"""Gains are of activations as they start, not as their constructors made them."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.layers.register import unregister_layer

AUTO = {"scheme": "lecun", "gain": "auto"}
SILU = 1.676532


def gains(layers: dict[str, Any], init: dict[str, Any] = AUTO, **model: Any) -> list[float]:
    plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers, **model}, init=init))
    return [item.numbers["gain"] for item in plan.parameters if item.role == "weight"]


def dense(**changes: Any) -> dict[str, Any]:
    return {"type": "Linear", "out_features": 4, **changes}


def sloped(slope: Any, **changes: Any) -> dict[str, Any]:
    return {"type": "PReLU", "init": {"scale": slope}, **changes}


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0, -1.0])
@pytest.mark.parametrize("scheme", [{"scheme": "constant"}, {}], ids=["replaced", "refined"])
def test_a_slope_is_the_one_that_is_declared(slope, scheme):
    due = sqrt(2 / (1 + slope**2))
    assert gains({"a": dense(), "act": sloped({**scheme, "value": slope})}) == [pytest.approx(due)]
    assert gains({"a": dense(), "act": "PReLU"}, {**AUTO, "scale": {"scheme": "constant", "value": slope}}) == [
        pytest.approx(due)
    ]


@pytest.mark.parametrize("gain", ["auto", "auto_backward", "critical"])
def test_slopes_of_two_activations_are_told_apart(gain):
    layers = {"a": dense(), "one": sloped("zeros"), "b": dense(), "two": "PReLU"}
    assert gains(layers, {"scheme": "lecun", "gain": gain}) == pytest.approx([sqrt(2), sqrt(2 / 1.0625)])


def test_a_layer_that_two_slopes_read_has_no_single_gain():
    layers = {"a": dense(), "one": sloped("zeros"), "two": {"type": "PReLU", "inputs": "a"}}
    with pytest.raises(mf.ForgeError, match=r"ambiguous: PReLU\(num_parameters=1, weight=0.0\) and PReLU"):
        gains({**layers, "sum": {"type": "Add", "inputs": ["one", "two"]}})


def test_tied_slopes_start_as_the_first():
    layers = {"a": dense(), "one": sloped("zeros"), "b": dense(), "two": "PReLU"}
    assert gains(layers, tie={"two.weight": "one.weight"}) == pytest.approx([sqrt(2), sqrt(2)])


def test_a_drawn_slope_has_no_gain():
    layers = {"a": dense(), "act": sloped({"scheme": "normal", "std": 0.1})}
    with pytest.raises(
        mf.ForgeError, match="PReLU that follows is not decided: its `weight` starts as no single number"
    ) as raised:
        gains(layers)
    assert "give that parameter one" in raised.value.problems[0].hint
    plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="kaiming"))
    assert plan.parameter("a.weight").numbers["gain"] == pytest.approx(sqrt(2))
    assert not mf.lint(plan)


def test_the_module_s_own_values_count_where_it_fills_itself():
    assert gains({"a": dense(), "act": sloped("torch")}) == [pytest.approx(sqrt(2 / 1.0625))]


@pytest.mark.parametrize("written", [3.0, torch.nan])
def test_what_a_constructor_writes_does_not_count(written):
    """NaN stands for what is in memory that it does not write."""

    @mf.register_layer(kind="activation", roles={"beta": "scale"})
    class Swish(nn.Module):
        """x·σ(beta·x)."""

        def __init__(self) -> None:
            super().__init__()
            self.beta = nn.Parameter(torch.full((1,), written))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.sigmoid(self.beta * x)

    try:
        assert gains({"a": dense(), "act": "Swish"}) == [pytest.approx(SILU)]
        still = {"type": "Swish", "init": {"scale": "zeros"}}
        assert gains({"a": dense(), "act": still}) == [pytest.approx(2.0)]
    finally:
        unregister_layer("Swish")


def test_what_has_no_gain_is_no_matter_for_lint():
    @mf.register_layer(kind="activation")
    class Mixing(nn.Module):
        """Not elementwise."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.softmax(-1)

    try:
        plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": {"a": dense(), "act": "Mixing"}}, init="kaiming"))
        assert all(found.code != "MW102" for found in mf.lint(plan))
    finally:
        unregister_layer("Mixing")
