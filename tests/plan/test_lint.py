"""Warnings: what is legal, but rarely meant."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.inits import statistics


def warned(layers: dict[str, Any], init: Any) -> list[tuple[str, str]]:
    plan = mf.plan(mf.parse({"input": {"shape": [16]}, "layers": layers}, init=init))
    return [(warning.code, warning.message) for warning in plan.warnings]


def deep(depth: int, act: str, *more: str) -> dict[str, Any]:
    copy = {"dense": {"type": "Linear", "out_features": 16}, **{name.lower(): name for name in more}, "act": act}
    return {"stack": {"type": "Repeat", "times": depth, "layers": copy}, "head": {"type": "Linear", "out_features": 2}}


BRANCH = deep(50, "GELU") | {"head": {"type": "Linear", "out_features": 16}}
RESIDUAL = {"blocks": {"type": "Residual", "layers": BRANCH}}
AUTO = {"scheme": "kaiming", "gain": "auto"}


def test_gelu_at_depth_50():
    slope = statistics("GELU").variance_slope
    message = (
        "unit variance is unstable under GELU(approximate=none): each layer multiplies a small error of it by "
        f"1.144, 50 layers by {slope**50:,.0f}"
    )
    [(code, said)] = warned(deep(50, "GELU"), AUTO)
    assert (code, said) == ("MW102", message)


@pytest.mark.parametrize(
    ("layers", "init"),
    [
        (deep(10, "GELU"), AUTO),
        (deep(50, "ReLU"), AUTO),
        (deep(50, "Tanh"), AUTO),
        (deep(50, "GELU", "LayerNorm"), AUTO),
        (deep(50, "GELU"), {"scheme": "normal", "std": 0.02}),
        (deep(50, "GELU"), {"scheme": "kaiming", "gain": 1.5}),
        (
            {
                "blocks": {
                    "type": "Residual",
                    "layers": deep(50, "GELU") | {"head": {"type": "Linear", "out_features": 16}},
                }
            },
            AUTO,
        ),
    ],
)
def test_no_false_alarms(layers, init):
    assert not warned(layers, init)


def attention(**types: Any) -> list[tuple[str, str]]:
    layers = {"mix": {"type": "MultiheadAttention", "num_heads": 2}, "head": {"type": "Linear", "out_features": 2}}
    spec = mf.parse({"input": {"shape": [3, 8]}, "layers": layers}, init={"scheme": "xavier", "types": types})
    return [(warning.code, warning.message) for warning in mf.plan(spec).warnings]


def test_projections_that_belong_together():
    assert not attention(MultiheadAttention="mimetic")
    assert not attention(Linear="kaiming")
    message = (
        "`mimetic` draws the projections of `mix` together, but `mix.out_proj.weight` start otherwise: what they make "
        "together is not what it says"
    )
    assert attention(MultiheadAttention="mimetic", Linear="kaiming") == [("MW103", message)]
    other = {"scheme": "mimetic", "beta_vo": 0.1}
    assert attention(MultiheadAttention="mimetic", NonDynamicallyQuantizableLinear=other) == [("MW103", message)]
