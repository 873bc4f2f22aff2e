"""Gains and the activations behind them."""

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


def test_norms_make_up_for_gains():
    assert codes("ReLU", "xavier", norm="LayerNorm") == set()
