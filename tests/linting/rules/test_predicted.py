"""Rules about predicted signals: thresholds, the layer they name, and what they measure."""

from __future__ import annotations

import re
from math import log
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.linting.subject import Training

HEAD: dict[str, Any] = {"type": "Linear", "out_features": 10}


def stack(depth: int, act: str = "ReLU", width: int = 64) -> dict[str, Any]:
    copy = {"dense": {"type": "Linear", "out_features": width}, "act": act}
    return {"stack": {"type": "Repeat", "times": depth, "layers": copy}, "head": HEAD}


def found(layers: dict[str, Any], init: Any, code: str, training: Training | None = None, **model: Any) -> list[str]:
    section = {"input": {"shape": [64]}, **model, "layers": layers}
    plan = mf.plan(mf.parse(section, init=init))
    return [problem.message for problem in mf.lint(plan, training, rules=[code])]


@pytest.mark.parametrize("depth", [9, 30, 60])
def test_xavier_before_relu_is_usable_to_ten_layers(depth: int):
    """He et al. 2015: each layer halves the energy, and 2^10 is a thousand."""
    said = found(stack(depth), "xavier", "MW123")
    assert bool(said) == (depth >= 10)
    if said:
        assert "vanishes at `stack.9.dense`" in said[0] or "vanishes at `stack.10.dense`" in said[0]
        assert re.search(r"usable to a depth of about (9|10)$", said[0])


def test_a_signal_beyond_what_is_predicted_has_vanished():
    """0.5⁶⁰⁰ is 2e-181, and from 1e-140 on nothing is predicted."""
    [said] = found(stack(600), "xavier", "MW123")
    assert "vanishes at `stack.10.dense`" in said
    assert re.search(
        r"E x² is [\d.]+e-1[34]\d where `stack\.\d+\.act` reads, after 4\d\d layers with weights; .* about 9$", said
    )


def test_a_signal_that_explodes_is_named_where_it_does():
    init = {"scheme": "kaiming", "gain": 2.0}
    [said] = found(stack(30), init, "MW123")
    assert "explodes at `stack.8.dense`" in said  # 4·2^8 is above 1,000
    assert not found(stack(30), "kaiming", "MW123")


def test_small_tables_are_a_start_and_not_a_loss():
    layers = {"embed": {"type": "Embedding", "num_embeddings": 9, "embedding_dim": 64}, **stack(2)}
    assert not found(layers, "kaiming", "MW123", input={"shape": [5], "dtype": "int64"})


@pytest.mark.parametrize(("act", "init", "bad"), [("Sigmoid", "xavier", True), ("Tanh", "xavier", False)])
def test_gradients_that_vanish(act: str, init: str, bad: bool):
    assert bool(found(stack(20, act), init, "MW124")) == bad


def test_widths_alone_are_no_explosion():
    layers = {
        name: {"type": "Linear", "out_features": width} if name[0] == "d" else "ReLU"
        for name, width in (("d1", 2048), ("a1", 0), ("d2", 2048), ("a2", 0), ("d3", 16), ("a3", 0))
    }
    init = {"scheme": "kaiming", "mode": "fan_out"}
    assert not found({**layers, "head": HEAD}, init, "MW124")


@pytest.mark.parametrize("std", [0.02, 0.125, 1.0])
def test_a_table_that_is_also_the_head(std: float):
    token = {"type": "Embedding", "num_embeddings": 50, "embedding_dim": 64}
    layers = {"token": token, "norm": "LayerNorm", "head": {"type": "Linear", "out_features": 50, "bias": False}}
    block = {"scheme": "xavier", "embedding": {"scheme": "normal", "std": std}}
    model = {"input": {"shape": [8], "dtype": "int64"}, "tie": {"head.weight": "token.weight"}}
    assert bool(found(layers, block, "MW137", **model)) == (std == 1.0)


SCORED = Training("Adam", by_width=False, num_classes=10)


@pytest.mark.parametrize("std", [0.05, 0.8])
def test_the_first_loss_is_about_what_is_measured(std: float):
    layers = {**stack(1), "head": {**HEAD, "init": {"scheme": "normal", "std": std}}}
    said = found(layers, "kaiming", "MW138", SCORED)
    assert not found(layers, "kaiming", "MW138")
    losses: list[float] = []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        inputs, classes = torch.randn(512, 64, generator=generator), torch.randint(10, (512,), generator=generator)
        model = mf.parse({"input": {"shape": [64]}, "layers": layers}, init="kaiming", seed=seed)
        scores = mf.build(model)(inputs)
        losses.append(float(torch.nn.functional.cross_entropy(scores.detach(), classes)))
    mean = sum(losses) / len(losses)
    assert bool(said) == (mean > log(10) + 1.15)
    if said:
        predicted = float(re.findall(r"is about ([\d.]+)", said[0])[0])
        assert log(10) < mean < predicted * 1.2  # the estimate is an upper bound, up to the draw


NORM = {"norm": {"type": "LayerNorm", "inputs": "input"}}
BRANCH = {"dying": {**stack(30)["stack"], "inputs": "input"}}
JOIN = {"join": {"type": "Concat", "inputs": ["dying", "norm"]}, "head": HEAD}


@pytest.mark.parametrize("branches", [{**BRANCH, **NORM}, {**NORM, **BRANCH}])
def test_a_branch_that_dies_beside_a_norm(branches: dict[str, Any]):
    """Whichever is written first."""
    layers = {**branches, **JOIN}
    [gain] = found(layers, "xavier", "MW120")
    assert "30 layers by 9.3e-10" in gain
    [signal] = found(layers, "xavier", "MW123")
    assert "vanishes at `dying.10.dense`" in signal
    [gradient] = found(layers, "xavier", "MW124")
    assert "vanish on their way back to `dying.0.dense`" in gradient
    for code in ("MW120", "MW123", "MW124"):
        assert not found(layers, "kaiming", code)


def test_of_two_branches_the_one_that_dies_is_named():
    dying = {**BRANCH["dying"], "init": {"gain": 0.5}}
    layers = {"good": BRANCH["dying"], "dying": dying, "join": {"type": "Concat", "inputs": ["good", "dying"]}}
    [gradient] = found({**layers, "head": HEAD}, "kaiming", "MW124")
    assert "vanish on their way back to `dying.0.dense`" in gradient
    [signal] = found({**layers, "head": HEAD}, "kaiming", "MW123")
    assert "vanishes at `dying.3.dense`" in signal
