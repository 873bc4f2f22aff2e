"""Units and layers that stay equal: what counts, and what makes them differ."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.signal.stuck import find_stuck

CONSTANT = {"scheme": "constant", "value": 0.1}
NORMAL = {"scheme": "normal", "std": 0.1}
DENSE: dict[str, Any] = {"type": "Linear", "out_features": 6}
HEAD: dict[str, Any] = {"type": "Linear", "out_features": 3}


def decided(layers: dict[str, Any], init: Any = CONSTANT, shape: tuple[int, ...] = (4,), **more: Any) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [*shape]}, "layers": layers, **more}, init=init))


def found(plan: mf.Plan, code: str) -> list[str]:
    return [problem.message for problem in mf.lint(plan, rules=[code])]


@pytest.mark.parametrize(
    ("layers", "stuck"),
    [
        ({"up": DENSE, "act": "Tanh", "head": HEAD}, True),
        ({"up": DENSE, "act": "Tanh", "head": {**HEAD, "init": NORMAL}}, False),
        ({"up": {**DENSE, "init": {"bias": NORMAL}}, "act": "Tanh", "head": HEAD}, False),
        ({"up": DENSE, "norm": {"type": "LayerNorm", "init": {"scale": NORMAL}}, "head": HEAD}, False),
        ({"up": DENSE, "norm": "LayerNorm", "head": HEAD}, True),
        ({"up": {**DENSE, "init": NORMAL}, "act": "Tanh", "head": HEAD}, False),
        ({"head": HEAD}, False),
    ],
)
def test_a_finding_is_what_a_pass_backward_shows(layers: dict[str, Any], stuck: bool):
    """`find_stuck` looks at gradients of the built model, the rule at the plan alone."""
    plan = decided(layers)
    assert bool(found(plan, "MW101")) == stuck
    torch.manual_seed(0)
    seen = find_stuck(mf.build(plan), torch.randn(16, 4))
    assert any(units.path == "up.weight" for units in seen.equal_units) == stuck


def test_gates_may_differ_where_units_do_not():
    rnn = {"type": "LSTM", "hidden_size": 5, "init": {"bias": {"scheme": "gates", "forget": 1.0}}}
    layers = {"rnn": rnn, "last": {"type": "Select", "dim": 1, "index": -1}, "head": HEAD}
    [message] = found(decided(layers, shape=(7, 4)), "MW101")
    assert message.startswith("the units of `rnn.weight_ih_l0` and `rnn.weight_hh_l0` start equal")
    assert not found(decided({**layers, "rnn": {**rnn, "init": {"recurrent": "orthogonal"}}}, shape=(7, 4)), "MW101")


@pytest.mark.parametrize("first", [NORMAL, CONSTANT])
def test_a_sum_with_other_units_makes_units_differ(first: Any):
    """As at the end of Fixup's last branch, where the head is 0: its columns come to differ, then the units."""
    zeros = {"init": "zeros"}
    branch = {"type": "Residual", "layers": {"end": {**DENSE, **zeros}}}
    layers = {"stem": {**DENSE, "init": first}, "branch": branch, "act": "ReLU", "head": {**HEAD, **zeros}}
    plan = decided(layers)
    model, inputs, targets = mf.build(plan), torch.randn(64, 4), torch.randn(64, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (model(inputs) - targets).square().mean().backward()
        optimizer.step()
    weight = model.get_parameter("branch.end.weight")
    stay = torch.allclose(weight, weight[:1].expand_as(weight), atol=1e-7)
    assert stay == (first is CONSTANT)
    assert any("branch.end.weight" in message for message in found(plan, "MW101")) == stay


TWINS: dict[str, Any] = {"a": {**DENSE, "inputs": "input"}, "b": {**DENSE, "inputs": "input"}}


@pytest.mark.parametrize(
    ("join", "init", "tie", "alike"),
    [
        ("Add", "xavier", {"b.weight": "a.weight", "b.bias": "a.bias"}, True),
        ("Add", "xavier", {"b.weight": "a.weight"}, False),
        ("Add", CONSTANT, {}, True),
        ("Add", "identity", {}, True),
        ("Add", {"scheme": "identity", "params": {"b.weight": {"gain": 0.5}}}, {}, False),
        ("Add", "xavier", {}, False),
        ("Concat", CONSTANT, {}, False),
    ],
)
def test_layers_that_compute_the_same(join: str, init: Any, tie: dict[str, str], alike: bool):
    bias = {"bias": NORMAL} if init == "xavier" else {}
    both = {"type": join, "inputs": ["a", "b"], **({"dim": 1} if join == "Concat" else {})}
    block = {"scheme": init, **bias} if isinstance(init, str) else init
    plan = decided({**TWINS, "join": both, "head": HEAD}, block, tie=tie)
    assert bool(found(plan, "MW128")) == alike


def test_layers_that_compute_the_same_part_where_one_is_an_output():
    layers = {**TWINS, "join": {"type": "Add", "inputs": ["a", "b"]}}
    assert found(decided(layers, CONSTANT), "MW128")
    assert not found(decided(layers, CONSTANT, outputs={"side": "b", "out": "join"}), "MW128")


@pytest.mark.parametrize(("groups", "stuck"), [(4, False), (2, True), (1, True)])
def test_units_of_different_groups_read_different_inputs(groups: int, stuck: bool):
    conv = {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "groups": groups}
    mix = {"type": "Conv2d", "out_channels": 4, "kernel_size": 1}
    layers = {
        "conv": conv,
        "act": "Tanh",
        "mix": mix,
        "act2": "Tanh",
        "flat": "Flatten",
        "head": {**HEAD, "init": NORMAL},
    }
    plan = decided(layers, shape=(4, 6, 6))
    assert any("conv.weight" in message for message in found(plan, "MW101")) == stuck
    torch.manual_seed(0)
    seen = find_stuck(mf.build(plan), torch.randn(16, 4, 6, 6))
    assert any(units.path == "conv.weight" for units in seen.equal_units) == stuck
