"""Gains and the activations after them."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf


def codes(act: str, init: Any, depth: int = 80, **more: Any) -> set[str]:
    copy = {"dense": {"type": "Linear", "out_features": 32}, **more, "act": act}
    layers = {
        "stack": {"type": "Repeat", "times": depth, "layers": copy},
        "head": {"type": "Linear", "out_features": 2},
    }
    plan = mf.plan(mf.parse({"input": {"shape": [32]}, "layers": layers}, init=init))
    return {problem.code for problem in mf.lint(plan, rules=["MW120", "MW121", "MW122"])}


@pytest.mark.parametrize(
    ("act", "init", "depth", "found"),
    [
        ("ReLU", "xavier", 80, {"MW120"}),
        ("ReLU", "xavier", 6, set()),  # 2^-6 is above 1/100
        ("ReLU", "xavier", 7, {"MW120"}),
        ("LeakyReLU", "lecun", 80, {"MW120"}),
        ("GELU", "orthogonal", 80, {"MW120"}),
        ("ReLU", "kaiming", 80, set()),
        ("LeakyReLU", "kaiming", 80, set()),  # 1.0001^-80
        ("Tanh", "xavier", 80, set()),
        ("Tanh", "kaiming", 80, {"MW121"}),
        ("Tanh", "kaiming", 10, set()),
        ("Sigmoid", "kaiming", 10, {"MW121"}),
        ("Tanh", {"scheme": "kaiming", "gain": "auto"}, 80, set()),  # MW124 says what is wrong with it
        ("Tanh", {"scheme": "kaiming", "gain": 1.0}, 80, set()),
        ("ReLU", {"scheme": "normal", "std": 0.01}, 80, set()),  # has no gain
        ("ReLU", {"scheme": "lecun", "gain": "tanh"}, 2, {"MW122"}),
        ("Sigmoid", {"scheme": "lecun", "gain": "relu"}, 1, {"MW122"}),
        ("Tanh", {"scheme": "lecun", "gain": "relu"}, 2, set()),  # 3.6 % off what keeps gradients
        ("Tanh", {"scheme": "lecun", "gain": "torch.tanh"}, 2, set()),  # 5/3 is 4.7 % off
        ("ReLU", {"scheme": "lecun", "gain": "leaky_relu"}, 2, set()),
    ],
)
def test_depth_and_activation_decide(act: str, init: Any, depth: int, found: set[str]):
    assert codes(act, init, depth) == found


@pytest.mark.parametrize(
    "norm", ["LayerNorm", {"type": "LayerNorm", "elementwise_affine": False}, "RMSNorm", {"type": "BatchNorm1d"}]
)
def test_norms_make_up_for_gains(norm: Any):
    assert codes("ReLU", "xavier", norm=norm) == set()


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({}, {}, True),
        ({"first": "LayerNorm"}, {}, True),
        ({}, {"scale": "LayerScale"}, True),
        ({}, {"last": {"type": "LayerNorm", "elementwise_affine": False}}, False),
    ],
)
def test_layers_after_the_last_norm_count(before: dict[str, Any], after: dict[str, Any], found: bool):
    copy = {"dense": {"type": "Linear", "out_features": 32}, "act": "ReLU"}
    stack = {"type": "Repeat", "times": 30, "layers": copy}
    layers = {**before, "stack": stack, **after, "head": {"type": "Linear", "out_features": 2}}
    plan = mf.plan(mf.parse({"input": {"shape": [32]}, "layers": layers}, init="xavier"))
    codes = {problem.code for problem in mf.lint(plan, rules=["MW120", "MW123", "MW124"])}
    assert codes == ({"MW120", "MW123", "MW124"} if found else set())


@pytest.mark.parametrize("act", ["SiLU", "Tanh", "ReLU"])
def test_depth_beyond_what_a_float_holds(act: str):
    """1.173^6000 and 2^-6000 are beyond double precision."""
    layers = {
        "stack": {
            "type": "Repeat",
            "times": 6000,
            "layers": {"dense": {"type": "Linear", "out_features": 2}, "act": act},
        }
    }
    plan = mf.plan(mf.parse({"input": {"shape": [2]}, "layers": layers}, init={"scheme": "xavier", "gain": "relu"}))
    found = mf.lint(plan, rules=["MW102", "MW120", "MW121", "MW122"])
    assert all("inf" not in problem.message for problem in found)
