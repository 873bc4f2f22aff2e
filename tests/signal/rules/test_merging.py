"""Layers in which signals meet, as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import check


def branches(merge, width=96):
    ends = {name: {"type": "Linear", "out_features": width} for name in ("one", "two")}
    ends["two"] = {"type": "Sequential", "layers": {"proj": ends["two"], "act": "SiLU"}}
    layers = {
        "both": {"type": "Parallel", "branches": ends, "merge": merge},
        "head": {"type": "Linear", "out_features": 64},
    }
    return mf.parse({"input": {"shape": [64]}, "layers": layers}, init={"scheme": "kaiming"})


@pytest.mark.parametrize("merge", ["Add", "Multiply", "Concat"])
def test_two_branches(merge):
    check(branches(merge), seeds=16)


def test_residual_branches_double_the_energy():
    branch = {"norm": "Identity", "up": {"type": "Linear", "out_features": 128}, "act": "ReLU"}
    branch["down"] = {"type": "Linear", "out_features": 128}
    layers = {"deep": {"type": "Repeat", "times": 6, "layers": {"add": {"type": "Residual", "layers": branch}}}}
    spec = mf.parse({"input": {"shape": [128]}, "layers": layers}, init={"scheme": "kaiming"})
    check(spec)
    assert mf.predict(mf.plan(spec)).node("deep.5.add.merge").signal.second == pytest.approx(3.0**6)
