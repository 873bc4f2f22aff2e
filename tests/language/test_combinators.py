"""Combinators: which child reads what, and how they are written."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.language import registry
from modelforge.language.combinators import Combinator, children, sequence
from tests.layers.rows import ROWS
from tests.layers.test_contract import parsed


@pytest.mark.parametrize("name", [name for name in registry.names() if registry.get(name).kind == "combinator"])
def test_a_combinator_wires_its_children(name):
    for index in range(len(ROWS[name])):
        spec = parsed(name, index).layers["layer"]
        assert isinstance(spec, Combinator)
        children = list(spec.wire())
        names = [child.name for child in children]
        assert len(set(names)) == len(names)
        for position, child in enumerate(children):
            assert set(child.reads or ()) <= {"input", *names[:position]}


def wired(layer: dict[str, Any], **more: Any) -> dict[str, tuple[str, tuple[str, ...] | None]]:
    """For each child its place below the combinator, and what it reads."""
    spec = mf.parse({"input": {"shape": [4]}, "layers": {"it": layer}} | more).layers["it"]
    assert isinstance(spec, Combinator)
    return {child.name: (child.at, child.reads) for child in spec.wire()}


LAYERS = {"fc": {"type": "Linear", "out_features": 4}, "act": "ReLU"}


def test_layers_of_a_sequence_read_the_one_before():
    assert wired({"type": "Sequential", "layers": LAYERS}) == {"fc": ("layers.fc", None), "act": ("layers.act", None)}


def test_a_residual_adds_its_last_layer_to_its_input_or_shortcut():
    residual = {"type": "Residual", "layers": LAYERS}
    assert wired(residual)["merge"] == ("merge", ("act", "input"))
    around = wired({**residual, "shortcut": "Identity"})
    assert (around["shortcut"], around["merge"]) == (("shortcut", ("input",)), ("merge", ("act", "shortcut")))


def test_branches_all_read_the_input_and_meet_in_order():
    assert wired({"type": "Parallel", "branches": LAYERS}) == {
        "fc": ("branches.fc", ("input",)),
        "act": ("branches.act", ("input",)),
        "merge": ("merge", ("fc", "act")),
    }


def test_copies_share_a_place_and_further_inputs():
    repeat = {"type": "Repeat", "times": 3, "layers": LAYERS}
    assert wired(repeat) == {name: ("", None) for name in ("0", "1", "2")}
    inputs = {"a": {"shape": [4]}, "b": {"shape": [4]}}
    assert wired({**repeat, "inputs": ["a", "b"]}, input=inputs) == {
        "0": ("", ("input", "input.1")),
        "1": ("", ("0", "input.1")),
        "2": ("", ("1", "input.1")),
    }


def test_only_a_sum_makes_a_residual_branch():
    def branch(merge: str) -> tuple[str, ...]:
        layer = {"type": "Residual", "layers": LAYERS, "merge": merge}
        return mf.parse({"input": {"shape": [4]}, "layers": {"it": layer}}).layers["it"].branch()

    assert (branch("Add"), branch("Multiply")) == (("fc", "act"), ())


def test_a_leaf_has_no_children():
    spec = mf.parse({"input": {"shape": [4]}, "layers": LAYERS})
    assert children(spec.layers["act"]) == {}
    assert list(children(sequence(spec.layers))) == ["fc", "act"]
