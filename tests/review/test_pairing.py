"""Which layer of another plan a layer is."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.review.diff import diff
from modelforge.review.pairing import paired

WIDE = {"type": "Linear", "out_features": 8}
NARROW = {"type": "Linear", "out_features": 4}


def box(**layers: Any) -> dict[str, Any]:
    return {"type": "Sequential", "layers": layers}


def plan(**layers: Any) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init="xavier"))


@pytest.mark.parametrize(
    ("old", "new", "renamed"),
    [
        ({"a": WIDE}, {"a": NARROW}, {}),
        ({"a": WIDE, "b": NARROW}, {"a": WIDE, "c": NARROW}, {"c": "b"}),
        ({"a": WIDE, "b": NARROW}, {"x": WIDE, "y": NARROW}, {"x": "a", "y": "b"}),
        ({"a": WIDE, "b": WIDE, "c": NARROW}, {"a": WIDE, "c": NARROW}, {}),
        ({"a": WIDE, "b": NARROW}, {"a": WIDE, "b": "ReLU"}, {}),
        ({"a": WIDE, "b": NARROW}, {"a": WIDE, "x": {**NARROW, "bias": False}}, {"x": "b"}),
        ({"a": WIDE, "b": NARROW}, {"body": box(a=WIDE), "b": NARROW}, {"body.a": "a"}),
        ({"body": box(a=WIDE)}, {"trunk": box(a=WIDE)}, {"trunk": "body", "trunk.a": "body.a"}),
        ({"body": box(a=WIDE, b=NARROW)}, {"body": box(a=WIDE, x=NARROW)}, {"body.x": "body.b"}),
        ({"a": WIDE}, {"a": WIDE, "b": WIDE}, {}),
    ],
)  # fmt: skip
def test_a_layer_is_found_by_what_it_is(old: dict[str, Any], new: dict[str, Any], renamed: dict[str, str]):
    assert paired(plan(**old), plan(**new)).renamed == renamed


def test_of_a_renamed_block_the_block_alone_is_said():
    found = diff(plan(body=box(a=WIDE, b=NARROW)), plan(trunk=box(a=WIDE, b=NARROW)))
    assert [(item.path, item.old_path, item.moved) for item in found.layers] == [("trunk", "body", False)]
    assert [(item.path, item.old_path) for item in found.parameters][:1] == [("trunk.a.weight", "body.a.weight")]
    assert found.totals == ()


def test_a_layer_in_another_block_has_moved():
    found = diff(plan(a=WIDE, b=NARROW), plan(body=box(a=WIDE), b=NARROW))
    (moved,) = (item for item in found.layers if item.moved)
    assert (moved.path, moved.old_path, moved.changes) == ("body.a", "a", ())


def test_what_reads_a_renamed_layer_reads_the_same():
    add = {"type": "Add", "inputs": ["a", "b"]}
    renamed = {"type": "Add", "inputs": ["x", "b"]}
    found = diff(plan(a=WIDE, b=WIDE, sum=add), plan(x=WIDE, b=WIDE, sum=renamed))
    assert [item.path for item in found.layers] == ["x"]
