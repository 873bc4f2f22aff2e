"""Init rules, and fields of them, that have no effect are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import modelforge as mf


def dense(init: Any = None) -> dict[str, Any]:
    return {"type": "Linear", "out_features": 4} | ({"init": init} if init else {})


def idle(layers: dict[str, Any], own: Any = None, init: Any = "xavier") -> list[tuple[str, str]]:
    model = {"input": {"shape": [4]}, "layers": layers} | ({"init": own} if own else {})
    plan = mf.plan(mf.parse(model, init=init))
    return [(found.key, found.message.partition(" of ")[0]) for found in plan.warnings if found.code == "MW109"]


def test_a_rule_whose_fields_nearer_rules_set_everywhere():
    layers = {"a": dense({"gain": 1.5}), "b": dense({"gain": 1.2})}
    message = (
        "this init rule has no effect: others override it everywhere, such as `model.layers.a.init` for `a.weight`"
    )
    assert idle(layers, own={"gain": 2.0}) == [("model.init", message)]
    assert idle({"s": {"type": "Sequential", "init": {"gain": 2.0}, "layers": layers}}) == [
        ("model.layers.s.init", message.replace("layers.a", "layers.s.layers.a").replace("`a.w", "`s.a.w"))
    ]


def test_a_field_that_nearer_rules_set_everywhere():
    layers = {"a": dense({"gain": 1.5}), "b": dense({"gain": 1.2, "mode": "fan_in"})}
    both = {"gain": 2.0, "mode": "fan_out"}
    assert idle(layers, own=both) == [("model.init.gain", "`gain`")]
    assert idle(layers, own={"scheme": "xavier", **both}) == [("model.init.gain", "`gain`")]


def test_a_field_that_its_scheme_needs_cannot_be_removed():
    normal = {"scheme": "normal", "std": 0.1}
    assert not idle({"a": dense()}, {**normal, "params": {"a.weight": {"std": 0.2}}})


@pytest.mark.parametrize(
    "layers",
    [
        {"a": dense({"gain": 1.5}), "b": dense()},
        {"a": dense({"gain": 1.5}), "b": dense({"mode": "fan_in"})},
        {"a": dense({"bias": "ones"}), "b": dense({"bias": {"scheme": "constant", "value": 0.1}})},
    ],
)
def test_a_field_that_counts_somewhere(layers):
    assert idle(layers, own={"gain": 2.0}) == []


def test_matrices_are_declared_whichever_scheme_wins():
    outer = {"params": {"a.weight": {"scheme": "orthogonal", "matrices": 2}}}
    assert idle({"a": dense("xavier")}, own=outer) == [("model.init.params.a.weight.scheme", "`scheme`")]
    nearer = {"a": dense({"params": {"weight": {"matrices": 4}}})}
    assert idle(nearer, own={"params": {"a.weight": {"matrices": 2}}})[0][0] == "model.init.params.a.weight"


def test_the_group_is_a_default_but_for_what_an_override_sets(tmp_path: Path):
    text = """\
model:
  input: {shape: [4]}
  layers:
    a: {type: Linear, out_features: 4, init: {gain: 1.5}}
    b: {type: Linear, out_features: 4, init: orthogonal}
init: {scheme: kaiming, gain: 1.0}
"""
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")

    def found(*overrides: str) -> list[tuple[str, str]]:
        warnings = mf.plan(mf.load(tmp_path, list(overrides))).warnings
        return [(one.key, str(one.place)) for one in warnings if one.code == "MW109"]

    assert found() == []
    assert found("init.gain=2.0") == [("init.gain", "override init.gain=2.0")]
    assert found("init.gain=2.0", "~model.layers.a.init") == []
    assert found("+init.mode=fan_out") == []
