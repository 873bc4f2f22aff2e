"""Residual branches that sums join, and how many steps it takes to find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import modelforge as mf
from modelforge.planning.branches import MAX_SHORTCUT
from modelforge.planning.plan import plan
from modelforge.planning.study import Studies
from tests.steps import steps

STUDIES = Studies()
GPT2 = {"scheme": "gpt2", "std": 0.02}


def linear(*inputs: str) -> dict[str, Any]:
    return {"type": "Linear", "out_features": 4} | ({"inputs": list(inputs)} if inputs else {})


def added(*inputs: str) -> dict[str, Any]:
    return {"type": "Add", "inputs": list(inputs)}


def ends(layers: dict[str, Any]) -> list[str]:
    decided = plan(mf.parse({"input": {"shape": [4]}, "layers": layers}, init=GPT2), STUDIES)
    contexts = {item.path: item.fills[0][0].context for item in decided.parameters if item.role == "weight"}
    return [path for path, found in contexts.items() if found is not None and found.branch and found.branch.ends]


@pytest.mark.parametrize(("num_layers", "found"), [(MAX_SHORTCUT, ["b.weight"]), (MAX_SHORTCUT + 1, [])])
def test_a_shortcut_has_a_length_up_to_which_it_is_one(num_layers: int, found: list[str]):
    shortcut = {f"s{index}": "Identity" for index in range(num_layers)}
    layers = {"a": linear()} | shortcut | {"b": linear("a"), "sum": added("b", f"s{num_layers - 1}")}
    inner = {"r": {"type": "Residual", "layers": {"l": linear()}}}  # `gpt2` needs one
    assert ends(layers | inner) == [*found, "r.l.weight"]


def test_of_two_shortcuts_the_one_with_fewer_kernels_counts():
    layers = {"a": linear(), "short": linear("a"), "b": linear("a"), "c": linear()}
    assert ends(layers | {"sum": added("short", "c", "a")}) == ["short.weight", "c.weight"]


def chain(size: int, item: Callable[[int], dict[str, Any]], last: dict[str, Any] | None = None) -> dict[str, Any]:
    layers = {"l": linear()}
    for index in range(size):
        layers |= item(index)
    return layers | (last or {})


GROWING: dict[str, Callable[[int], dict[str, Any]]] = {
    "one after the other": lambda size: chain(
        size, lambda i: {f"a{i}": linear(), f"s{i}": added(f"a{i}", f"s{i - 1}" if i else "l")}
    ),
    "all from the first": lambda size: chain(size, lambda i: {f"a{i}": linear(), f"s{i}": added(f"a{i}", "l")}),
    "all of one sum": lambda size: chain(
        size, lambda i: {f"a{i}": linear("l")}, {"s": added(*(f"a{i}" for i in range(size)))}
    ),
    "only activations": lambda size: chain(size, lambda i: {f"a{i}": "ReLU", f"s{i}": added(f"a{i}", "l")}),
    "a sum of activations": lambda size: chain(
        size, lambda i: {f"a{i}": {"type": "ReLU", "inputs": ["l"]}}, {"s": added(*(f"a{i}" for i in range(size)))}
    ),
    "read through many layers": lambda size: chain(
        size,
        lambda i: {f"a{i}": linear("l")},
        {"s": added(*(f"a{i}" for i in range(size)))} | {f"d{i}": "Dropout" for i in range(size)},
    ),
    "declared": lambda size: chain(size, lambda i: {f"r{i}": {"type": "Residual", "layers": {"a": linear()}}}),
    "many layers in one branch": lambda size: {
        "r": {"type": "Residual", "layers": {f"a{i}": linear() for i in range(size)}}
    },
}


@pytest.mark.parametrize("kind", GROWING)
def test_the_steps_of_planning_grow_with_the_number_of_layers(kind: str):
    def run(size: int) -> None:
        plan(mf.parse({"input": {"shape": [4]}, "layers": GROWING[kind](size)}, init="xavier"), STUDIES)

    run(2)
    few, more, most = (steps(lambda size=size: run(size)) for size in (8, 24, 56))
    assert most - more < 2.2 * (more - few)
