"""Gradients on their way back: what comes through weights with a mean, and why others are not known."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import pytest

import modelforge as mf
from tests.signal.measured import measured, misses

DENSE: dict[str, Any] = {"type": "Linear", "out_features": 32}
MEANS = {"constant": {"scheme": "constant", "value": 0.1}, "uniform": {"scheme": "uniform", "low": 0.0, "high": 0.1}}


def decided(layers: dict[str, Any], shape: tuple[int, ...] = (32,)) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [*shape]}, "layers": layers}, init="kaiming"))


@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("activation", ["ReLU", "Tanh"])
def test_a_head_with_a_mean_as_measured(activation, mean):
    """One sum reaches all units, along the signal where that has a mean; each layer before adds to it again."""
    deep = {"type": "Repeat", "times": 6, "layers": {"hidden": DENSE, "act": activation}}
    head = {"type": "Linear", "out_features": 5, "init": MEANS[mean]}
    spec = mf.parse({"input": {"shape": [32]}, "layers": {"deep": deep, "head": head}}, init="kaiming")
    prediction = mf.predict(mf.plan(spec), batch_size=16)
    assert not prediction.unknown
    assert all(node.gradient for node in prediction.nodes)
    wrong = misses(prediction, measured(mf.plan(spec), spec, seeds=16, batch=16), spare=0.25)
    assert not wrong, "\n".join(wrong)


def test_a_norm_before_a_head_of_constants_leaves_it_nothing():
    head = {"type": "Linear", "out_features": 5, "init": MEANS["constant"]}
    prediction = mf.predict(decided({"hidden": DENSE, "norm": "LayerNorm", "head": head}))
    assert prediction.node("head").signal.second == 0
    hidden = prediction.node("hidden")
    assert (hidden.gradient, hidden.note) == (None, "gradient unknown before `norm`")


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm", "BatchNorm1d"])
def test_nothing_is_known_after_a_shared_sum_not_even_after_a_norm(norm):
    """Where a sum outweighs the rest, ReLU passes on all of it or nothing, and a norm divides what is left of it."""
    layers = {
        "first": DENSE,
        "middle": {**DENSE, "init": MEANS["constant"]},
        "act": "ReLU",
        "norm": norm,
        "head": DENSE,
    }
    prediction = mf.predict(decided(layers))
    assert [node.path for node in prediction.unknown] == ["act", "norm", "head"]
    reason = "unknown from here on: all units share a sum in `middle`, whose weights have a mean"
    assert prediction.node("act").note == reason
    assert prediction.node("middle").signal.second > 0


def test_each_branch_has_its_own_reason():
    three = {"type": "LPPool1d", "norm_type": 3, "kernel_size": 2, "inputs": "input"}
    layers = {"pool": three, "a": DENSE, "shared": {**DENSE, "inputs": "input", "init": MEANS["constant"]}, "b": "ReLU"}
    prediction = mf.predict(decided(layers, (4, 8)))
    assert "3-norm" in prediction.node("a").note
    assert "share a sum" in prediction.node("b").note


def test_the_gradient_of_an_unknown_result_scatters_by_its_size():
    three = {"type": "LPPool1d", "norm_type": 3, "kernel_size": 2}
    node = mf.predict(decided({"pool": three, "head": DENSE}, (4, 8)), batch_size=16).node("head")
    assert node.signal is None
    assert node.gradient.spread == pytest.approx(sqrt(2 / prod((16, 4, 32))))


def test_slopes_of_examples_that_are_left_out_are_not_known():
    """An example that DropPath made 0 has no gradient after ReLU, and it is the same one at each layer."""
    layer = {"hidden": DENSE, "act": "ReLU", "drop": {"type": "DropPath", "p": 0.2}}
    prediction = mf.predict(decided({"deep": {"type": "Repeat", "times": 2, "layers": layer}}))
    assert prediction.node("deep.1.act").gradient is not None
    assert prediction.node("deep.1.hidden").gradient is None
    assert prediction.node("deep.0.hidden").note == "gradient unknown before `deep.1.act`"
