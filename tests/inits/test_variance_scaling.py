"""Variance scaling: the family's members by its fields, and torch's default."""

from __future__ import annotations

import math
from typing import Any

import pytest

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.inits import Matrix

BLOCK = Matrix(shape=(12, 50), fan_in=50.0, fan_out=12.0)


def law(**config: Any) -> inits.Law:
    scheme = inits.create(config)
    assert isinstance(scheme, inits.Elementwise)
    return scheme.law(BLOCK)


@pytest.mark.parametrize(
    ("fields", "std"),
    [
        ({}, math.sqrt(1 / 50)),
        ({"gain": 3.0}, 3 / math.sqrt(50)),
        ({"gain": "relu"}, math.sqrt(2 / 50)),
        ({"mode": "fan_out"}, math.sqrt(1 / 12)),
        ({"mode": "fan_avg"}, math.sqrt(1 / 31)),
        ({"mode": "fan_geo"}, math.sqrt(1 / math.sqrt(600))),
    ],
    ids=str,
)
@pytest.mark.parametrize("distribution", ["uniform", "normal", "truncated_normal"])
def test_the_variance_is_the_scale_over_the_fan(fields: dict[str, Any], distribution: str, std: float):
    made = law(scheme="variance_scaling", distribution=distribution, **fields)
    assert (made.mean, made.std) == (0.0, pytest.approx(std, rel=1e-12))
    if distribution == "uniform":
        assert made.bounds == (pytest.approx(-math.sqrt(3) * std), pytest.approx(math.sqrt(3) * std))
    if distribution == "truncated_normal":
        assert made.bounds == (
            pytest.approx(-2 * std / 0.87962566103423978),
            pytest.approx(2 * std / 0.87962566103423978),
        )


@pytest.mark.parametrize(
    ("named", "fields"),
    [
        ("xavier", {"mode": "fan_avg", "distribution": "uniform"}),
        ("kaiming", {"gain": "relu"}),
        ("lecun", {}),
        ("torch_default", {"gain": 1 / math.sqrt(3), "distribution": "uniform"}),
        ("torch_default", {"gain": math.sqrt(2 / (1 + 5)), "distribution": "uniform"}),
    ],
    ids=str,
)
def test_the_named_ones_are_members(named: str, fields: dict[str, Any]):
    made, member = law(scheme=named), law(scheme="variance_scaling", **fields)
    assert (made.std, made.bounds, type(made)) == (
        pytest.approx(member.std, rel=1e-15),
        member.bounds and pytest.approx(member.bounds, rel=1e-15),
        type(member),
    )


def test_torch_s_default_has_torch_s_bounds():
    fill = inits.create({"scheme": "torch_default"}).resolve(BLOCK)
    low, high = pytest.approx(-1 / math.sqrt(50), rel=1e-15), pytest.approx(1 / math.sqrt(50), rel=1e-15)
    assert (fill.numbers["low"], fill.numbers["high"]) == (low, high)
    assert fill.numbers["gain"] == pytest.approx(0.5773502691896258)


def test_a_bias_does_not_show_the_fan_of_its_weight():
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "torch_default"}).resolve(Matrix(shape=(8,), fan_in=8, fan_out=8))
    assert caught.value.reason == (
        "`torch_default` draws a bias by the fan_in of its weight, which a bias alone does not show"
    )
    assert caught.value.hint == "`scheme: torch` draws both, or give `bias` a scheme of its own"


@pytest.mark.parametrize("init", ["variance_scaling", "torch_default", {"scheme": "variance_scaling", "gain": "auto"}])
def test_models_are_built_with_it(init: Any):
    layers = {"conv": {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "groups": 2}, "act": "ReLU"}
    spec = mf.parse({"input": {"shape": [4, 9, 9]}, "layers": layers}, init=init)
    model = mf.build(spec)
    assert model.ledger.ok
    assert model.ledger["conv.weight"].numbers["fan_in"] == 18
