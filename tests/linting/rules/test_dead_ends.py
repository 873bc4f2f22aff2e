"""Zeros in series, units that are off, biases that a norm subtracts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.signal.stuck import find_stuck

DENSE: dict[str, Any] = {"type": "Linear", "out_features": 16}
ZEROS: dict[str, Any] = {**DENSE, "init": "zeros"}


def decided(layers: dict[str, Any], shape: tuple[int, ...] = (16,)) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [*shape]}, "layers": layers}, init="kaiming"))


def found(plan: mf.Plan, code: str) -> list[str]:
    return [problem.message for problem in mf.lint(plan, rules=[code])]


@pytest.mark.parametrize(
    ("layers", "stuck"),
    [
        ({"a": ZEROS, "b": ZEROS}, True),
        ({"a": ZEROS, "act": "Tanh", "b": ZEROS}, True),
        ({"a": ZEROS, "b": DENSE}, False),
        ({"a": DENSE, "b": ZEROS}, False),
        ({"a": ZEROS, "act": "Sigmoid", "b": ZEROS}, False),  # 1/2 arrives
        ({"a": {**DENSE, "init": {"scheme": "zeros", "bias": "ones"}}, "b": ZEROS}, False),
        ({"a": {"type": "Residual", "layers": {"zero": ZEROS}}, "b": ZEROS}, False),
        (  # `side` sends a gradient to `a`, and `b` reads other values after one step
            {
                "a": ZEROS,
                "b": ZEROS,
                "side": {**DENSE, "inputs": "a"},
                "sum": {"type": "Add", "inputs": ["b", "side"]},
            },
            False,
        ),
    ],
)
def test_zeros_in_series_get_no_gradient(layers: dict[str, Any], stuck: bool):
    plan = decided(layers)
    assert bool(found(plan, "MW125")) == stuck
    seen = find_stuck(mf.build(plan), torch.randn(8, 16))
    assert any(path.endswith("weight") for path in seen.zero_gradients) == stuck


@pytest.mark.parametrize(
    ("bias", "act", "dead"),
    [(-4.0, "ReLU", True), (-2.0, "ReLU", False), (4.0, "ReLU", False), (-4.0, "LeakyReLU", False)],
)
def test_units_that_no_example_turns_on(bias: float, act: str, dead: bool):
    block = {"bias": {"scheme": "constant", "value": bias}}
    assert bool(found(decided({"a": {**DENSE, "init": block}, "act": act, "b": DENSE}), "MW126")) == dead


@pytest.mark.parametrize(
    ("norm", "bias", "idle"),
    [("BatchNorm2d", True, True), ("InstanceNorm2d", True, True), ("BatchNorm2d", False, False), ("ReLU", True, False)],
)
def test_a_bias_before_a_norm(norm: str, bias: bool, idle: bool):
    conv = {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "bias": bias}
    assert bool(found(decided({"conv": conv, "norm": norm}, (3, 8, 8)), "MW127")) == idle


def test_a_bias_that_something_else_reads_too():
    conv = {"type": "Conv2d", "out_channels": 4, "kernel_size": 3}
    layers = {"conv": conv, "norm": "BatchNorm2d", "sum": {"type": "Add", "inputs": ["norm", "conv"]}}
    assert not found(decided(layers, (3, 8, 8)), "MW127")


@pytest.mark.parametrize(("shape", "idle"), [((8,), True), ((16, 8), False)])
def test_a_bias_of_features_before_a_norm_of_channels(shape: tuple[int, ...], idle: bool):
    """BatchNorm1d has channels in dimension 1, a Linear over a sequence features in the last."""
    plan = decided({"dense": DENSE, "norm": "BatchNorm1d"}, shape)
    assert bool(found(plan, "MW127")) == idle
    net, x = mf.build(plan), torch.randn(32, *shape)
    before = net(x)
    with torch.no_grad():
        net.get_parameter("dense.bias").copy_(torch.randn(16))
    assert torch.allclose(before, net(x), atol=1e-4) == idle


def test_a_bias_that_an_output_of_the_model_shows():
    conv = {"type": "Conv2d", "out_channels": 4, "kernel_size": 3}
    model = {"input": {"shape": [3, 8, 8]}, "layers": {"conv": conv, "norm": "BatchNorm2d", "act": "ReLU"}}
    assert found(mf.plan(mf.parse(model, init="kaiming")), "MW127")
    assert not found(mf.plan(mf.parse({**model, "outputs": {"raw": "conv", "out": "act"}}, init="kaiming")), "MW127")


def test_a_bias_that_a_layer_without_a_norm_shares():
    conv = {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "inputs": "input"}
    layers = {"a": conv, "norm": "BatchNorm2d", "b": conv, "sum": {"type": "Add", "inputs": ["norm", "b"]}}
    for tie in ({"b.bias": "a.bias"}, {"a.bias": "b.bias"}):
        model = {"input": {"shape": [3, 8, 8]}, "layers": layers, "tie": tie}
        assert not found(mf.plan(mf.parse(model, init="kaiming")), "MW127")
