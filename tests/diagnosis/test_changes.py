"""changes: the ways on which signals and gradients are followed."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.diagnosis.changes import Ways, worst
from modelforge.diagnosis.levels import levels

DENSE = {"type": "Linear", "out_features": 64}
LAYERS = {
    "trunk": DENSE,
    "deep": {"type": "Repeat", "inputs": "trunk", "times": 3, "layers": {"d": DENSE, "a": "ReLU"}},
    "norm": {"type": "LayerNorm", "inputs": "trunk"},
    "both": {"type": "Concat", "inputs": ["deep", "norm"]},
    "head": DENSE,
}
PLAN = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": LAYERS}, init={"scheme": "normal", "std": 0.01}))


def test_each_part_of_a_concatenation_has_a_way_from_where_it_leaves_another():
    ways = Ways(PLAN, levels(PLAN, mf.predict(PLAN), None))
    assert [(list(way.paths), list(way.norms), way.leaves_another) for way in ways.all] == [
        (["input", "trunk", "norm", "both"], [2], False),
        (["trunk", *(f"deep.{index}.{name}" for index in range(3) for name in "da")], [], True),
    ]
    assert ways.all[0].pieces() == [(0, 1), (2, 3)]


def test_the_largest_change_is_that_of_the_part_that_dies():
    change = worst(PLAN, levels(PLAN, mf.predict(PLAN), None))
    assert change is not None
    assert (change.what, change.start.path, change.end.path) == ("signal", "trunk", "deep.2.a")
    assert list(change.passed) == ["trunk", *(f"deep.{index}.{name}" for index in range(3) for name in "da")]
    assert change.factor == pytest.approx((64 * 0.01**2 / 2) ** 3, rel=1e-3)
