"""Width-aware schemes: at the base width they are the standard ones, and learning rates follow the table."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import pytest

import modelforge as mf
from modelforge import inits
from modelforge.inits import Block, CannotServe, Context


def layers(width: int) -> dict[str, Any]:
    return {
        "one": {"type": "Linear", "out_features": width},
        "act1": "ReLU",
        "two": {"type": "Linear", "out_features": width},
        "act2": "ReLU",
        "head": {"type": "Linear", "out_features": 10},
    }


def parameters(width: int, **fields: Any) -> dict[str, Any]:
    block = {"scheme": "mup", "width": width, "base_width": 64, **fields}
    model = {"input": {"shape": [16]}, "layers": layers(width)}
    return {item.path: item for item in mf.plan(mf.parse(model, init={**block, "bias": block})).parameters}


@pytest.mark.parametrize("m", [1, 4])
def test_the_rows_of_the_table(m):
    found = parameters(64 * m)
    assert found["one.weight"].std == pytest.approx(1 / 4)
    assert found["two.weight"].std == pytest.approx(1 / sqrt(64 * m))
    assert found["head.weight"].std == pytest.approx(1 / (8 * m))
    assert found["two.bias"].std == 0
    rates = {path: item.numbers["learning_rate_multiplier"] for path, item in found.items()}
    assert rates == {
        "one.weight": 1,
        "one.bias": 1,
        "two.weight": 1 / m,
        "two.bias": 1,
        "head.weight": 1 / m,
        "head.bias": 1,
    }


def test_learning_rates_of_sgd():
    found = parameters(256, optimizer="sgd")
    rates = [found[f"{name}.weight"].numbers["learning_rate_multiplier"] for name in ("one", "two", "head")]
    assert rates == [4, 1, 1 / 4]
    assert found["two.bias"].numbers["learning_rate_multiplier"] == 4


def test_without_a_graph_the_block_says_what_it_is():
    block = Block((8, 8), fan_in=8, fan_out=8, role="weight")
    with pytest.raises(CannotServe, match="`mup` treats input, hidden and output weights apart, and no graph is known"):
        inits.create({"scheme": "mup", "width": 8, "base_width": 4}).resolve(block)
    given = inits.create({"scheme": "mup", "width": 8, "base_width": 4, "position": "output"})
    assert given.resolve(block).std == pytest.approx(1 / 4)


def test_a_base_width_must_be_given():
    with pytest.raises(mf.ForgeError, match="scheme `mup` needs `base_width`"):
        mf.parse({"input": {"shape": [4]}, "layers": layers(8)}, init={"scheme": "mup", "width": 8})


@pytest.mark.parametrize(("shape", "std"), [((64, 16), 1 / 4), ((16, 64), 1 / 16)])
def test_spectral(shape, std):
    block = Block(shape, fan_in=shape[1], fan_out=shape[0], context=Context(0))
    fill = inits.create({"scheme": "spectral"}).resolve(block)
    assert fill.std == pytest.approx(std)
    assert fill.numbers["learning_rate_multiplier"] == 1 / shape[1]
    sgd = inits.create({"scheme": "spectral", "optimizer": "sgd"}).resolve(block)
    assert sgd.numbers["learning_rate_multiplier"] == shape[0] / shape[1]
    with pytest.raises(CannotServe, match="`spectral` needs a matrix"):
        inits.create({"scheme": "spectral"}).resolve(replace(block, shape=(4,)))
