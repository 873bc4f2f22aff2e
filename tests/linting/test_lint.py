"""Warnings: what is legal, but rarely meant."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor, nn

import modelforge as mf
from modelforge.inits import statistics
from modelforge.layers import forget_class, register_inside
from modelforge.layers.register import unregister_layer
from modelforge.linting.lint import findings


def warned(layers: dict[str, Any], init: Any) -> list[tuple[str, str]]:
    plan = mf.plan(mf.parse({"input": {"shape": [16]}, "layers": layers}, init=init))
    return [(warning.code, warning.message) for warning in findings(plan)]


def deep(depth: int, act: str, *more: str) -> dict[str, Any]:
    copy = {"dense": {"type": "Linear", "out_features": 16}, **{name.lower(): name for name in more}, "act": act}
    return {"stack": {"type": "Repeat", "times": depth, "layers": copy}, "head": {"type": "Linear", "out_features": 2}}


AUTO = {"scheme": "kaiming", "gain": "auto"}


def test_gelu_at_depth_50():
    slope = statistics("GELU").variance_slope
    message = (
        "unit variance is unstable under GELU(approximate=none): each layer multiplies an error in the variance by "
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
    return [(warning.code, warning.message) for warning in findings(mf.plan(spec))]


def test_projections_that_belong_together():
    assert not attention(MultiheadAttention="mimetic")
    assert not attention(Linear="kaiming")
    message = (
        "`mimetic` draws the projections of `mix` together, but another rule fills `mix.out_proj.weight`: the "
        "product of the projections is not what the scheme promises"
    )
    assert attention(MultiheadAttention="mimetic", Linear="kaiming") == [("MW103", message)]
    other = {"scheme": "mimetic", "beta_vo": 0.1}
    assert attention(MultiheadAttention="mimetic", NonDynamicallyQuantizableLinear=other) == [("MW103", message)]


# --- rules without effect ---------------------------------------------------------------------------------------------

DENSE = {"type": "Linear", "out_features": 16}
NORMAL = {"scheme": "normal", "std": 0.1}


@pytest.mark.parametrize("scheme", ["zero_gamma", "rezero", "layerscale"])
def test_a_rule_for_ends_of_branches_that_fills_none(scheme):
    found = warned(
        {"block": {"type": "Residual", "layers": {"norm": "LayerNorm", "dense": DENSE}}}, {**NORMAL, "scale": scheme}
    )
    message = (
        f"`{scheme}` starts the ends of residual branches differently, but fills none of them, only `block.norm.weight`"
    )
    assert found == [("MW108", message)]
    normed = {"block": {"type": "Residual", "layers": {"dense": DENSE, "norm": "LayerNorm"}}}
    assert warned(normed, {**NORMAL, "scale": scheme}) == []


def test_depth_that_no_kernel_sees():
    block = {"type": "Residual", "layers": {"dense": DENSE, "norm": "LayerNorm"}}
    [(code, said)] = warned({"block": block, "head": DENSE}, "gpt2")
    assert (code, said.endswith("fills none of them, only `block.dense.weight` and `head.weight`")) == ("MW108", True)


def test_rules_that_others_go_before():
    layers = {"a": {**DENSE, "init": "xavier"}, "b": {**DENSE, "init": "lecun"}}
    spec = {"input": {"shape": [16]}, "layers": layers, "init": {"scheme": "kaiming", "bias": "ones"}}
    [warning] = findings(mf.plan(mf.parse(spec)))
    assert (warning.code, warning.key, warning.message, warning.hint) == (
        "MW109",
        "model.init",
        "this init rule has no effect: others override it everywhere, such as `model.layers.a.init` for `a.weight`",
        "remove it, or what overrides it",
    )
    assert not warned(layers, "kaiming")  # the group is a default


def test_roles_of_the_group_that_an_override_wrote():
    plan = mf.plan(mf.load("conf", overrides=["model=mlp", "+init.recurrent=orthogonal"]))
    [warning] = findings(plan)
    assert (warning.code, warning.key) == ("MW109", "init.recurrent")
    assert warning.message == "this init rule matches nothing: no parameter here has the role `recurrent`"


def test_a_layer_that_a_scheme_cannot_see_into():
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

        def forward(self, x: Tensor) -> Tensor:
            return self.down(self.up(x).relu())

    mf.register_layer(Mixer)
    layers = {"block": {"type": "Residual", "layers": {"mix": "Mixer"}}}
    try:
        [(code, said)] = warned(layers, "gpt2")
        register_inside(Mixer)(lambda module: {"down": "output"})
        assert warned(layers, "gpt2") == []
    finally:
        forget_class(Mixer)
        unregister_layer("Mixer")
    assert (code, said) == (
        "MW107",
        "`gpt2` cannot see into this layer: its inner residual branches are not known, so none is counted, and none of "
        "its parameters is treated as the end of one",
    )


def test_rules_are_a_list():
    layers = {"up": {"type": "Linear", "out_features": 8}}
    plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="xavier"))
    with pytest.raises(TypeError, match=r"but gets a str: write `rules=\['MW101'\]`"):
        mf.lint(plan, rules="MW101")
