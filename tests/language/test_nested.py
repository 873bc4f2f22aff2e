"""Layers inside of others: the names that they can have, and how deep they may lie."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.language.parse import parse_init
from tests.language.test_parse import LINEAR, told


@pytest.mark.parametrize("name", ["shortcut", "merge"])
def test_names_that_combinators_have_themselves(name):
    parallel = {"type": "Parallel", "branches": {name: "ReLU", "b": "Tanh"}}
    for field, block in (("layers", {"type": "Residual", "layers": {name: "ReLU"}}), ("branches", parallel)):
        assert told(lambda block=block: mf.parse({"input": {"shape": [4]}, "layers": {"it": block}})) == [
            ("MF016", f"model.layers.it.{field}.{name}")
        ]
    assert mf.parse({"input": {"shape": [4]}, "layers": {name: "ReLU"}}).layers[name].type == "ReLU"


@pytest.mark.parametrize("name", ["a b", "a.b", "", "_a", "1a", "é", "a-b", "forward", "training", "ledger", "input"])
def test_names_that_cannot_be(name):
    assert told(lambda: mf.parse({"input": {"shape": [4]}, "layers": {name: "ReLU"}})) == [
        ("MF016", f"model.layers.{name}".removesuffix("."))
    ]


@pytest.mark.parametrize("name", ["a", "A1_b", "0", "12", "bias", "layers", "inputs", "init", "weight"])
def test_names_that_can_be(name):
    model = mf.build(mf.parse({"input": {"shape": [4]}, "layers": {name: LINEAR, "last": "ReLU"}}, init="xavier"))
    assert f"{name}.weight" in model.state_dict()


def test_two_names_that_become_one():
    assert told(lambda: mf.parse({"input": {"shape": [4]}, "layers": {1: "ReLU", "1": "ReLU"}})) == [
        ("MF016", "model.layers")
    ]


@pytest.mark.parametrize("depth", [500, 5000])
def test_deep_nesting_is_no_traceback(depth):
    layers: dict[str, Any] = {"act": "ReLU"}
    block: dict[str, Any] = {"scheme": "xavier"}
    for _ in range(depth):
        layers = {"deeper": {"type": "Sequential", "layers": layers}}
        block = {"types": {"Linear": block}}
    assert [code for code, _ in told(lambda: mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers})))] == [
        "MF060"
    ]
    if depth == 5000:
        assert told(lambda: parse_init(block)) == [("MF060", "init")]


def test_sixty_four_levels_are_fine():
    layers: dict[str, Any] = {"head": LINEAR}
    for _ in range(64):
        layers = {"deeper": {"type": "Sequential", "layers": layers}}
    assert mf.build(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="xavier")).ledger.ok
