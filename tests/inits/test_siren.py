"""SIREN: bounds of the paper, and what they are for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy import stats

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Context, Matrix

BLOCK = Matrix(shape=(256, 96), fan_in=96, fan_out=256, context=Context(0, None, reads_input=False))


@pytest.mark.parametrize(
    ("fields", "bound"),
    [({}, 0.25 / 30), ({"omega_0": 1.0}, 0.25), ({"first": True}, 1 / 96), ({"first": True, "omega_0": 5.0}, 1 / 96)],
)
def test_bounds(fields: dict[str, Any], bound: float):
    fill = inits.create({"scheme": "siren", **fields}).resolve(BLOCK)
    assert fill.std == pytest.approx(bound / math.sqrt(3))
    assert fill.numbers == {
        "omega_0": fields.get("omega_0", 30.0),
        "first": fields.get("first", False),
        "fan_in": 96,
        "low": pytest.approx(-bound),
        "high": pytest.approx(bound),
    }


def test_sines_of_a_built_network_follow_the_arcsine_law_at_any_depth():
    layers: dict[str, Any] = {f"l{i}": {"type": "Linear", "out_features": 1024} for i in range(6)}
    model = mf.build(mf.parse({"input": {"shape": [2]}, "layers": layers}, init={"scheme": "siren"}))
    assert model.ledger.ok
    x = torch.rand(1, 2, generator=Key(1).generator()) * 2 - 1
    angles: list[torch.Tensor] = []
    with torch.no_grad():
        for name in layers:
            angles.append(30 * model.get_submodule(name)(x))
            x = angles[-1].sin()
    # Given the layer below, the 1024 units of the last are independent.
    assert stats.kstest(angles[-1].double().numpy().ravel(), "norm").pvalue > 1e-3
    # sin z of z ~ N(0, 1) is near the arcsine law, not on it.
    assert stats.kstest(x.double().numpy().ravel(), stats.arcsine(-1, 2).cdf).statistic < 0.1


def test_a_vector_has_no_fans():
    with pytest.raises(Refusal, match="`siren` needs a matrix, but this is a vector of 3: fans are not defined"):
        inits.create({"scheme": "siren"}).resolve(Matrix((3,), 1, 1))


def test_without_a_graph_the_block_must_say_which_layer_is_first():
    block = Matrix((3, 3), 3, 3)
    with pytest.raises(Refusal, match="`siren` treats the first layer apart, and no graph is known here"):
        inits.create({"scheme": "siren"}).resolve(block)
    assert inits.create({"scheme": "siren", "first": True}).resolve(block).numbers["first"] is True
