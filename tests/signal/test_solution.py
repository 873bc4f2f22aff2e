"""What a solution prints, and its data."""

from __future__ import annotations

import json

import pytest

import modelforge as mf
from tests.signal.nets import chain, mlp


@pytest.fixture(scope="module")
def solution():
    layers = ({"type": "Linear", "out_features": 8}, "LayerNorm", {"type": "Linear", "out_features": 8}, "ReLU")
    return mf.solve(mf.plan(chain(*layers, {"type": "Linear", "out_features": 4}, shape=[8], init="lecun")))


def test_it_prints_both_curves_the_overrides_and_what_is_left_alone(solution):
    lines = [line for line in str(solution).splitlines() if line]
    assert lines[0].split() == ["layer", "type", "E", "x²", "after", "E", "g²", "after"]
    assert [line.split()[0] for line in lines[2:7]] == ["linear0", "layernorm1", "linear2", "relu3", "linear4"]
    assert [line.split()[:2] for line in lines[7:11]] == [
        [what, when] for what in ("signals", "gradients") for when in ("before", "after")
    ]
    assert lines[11:] == [
        "'++model.init.params={linear4.weight: {gain: 1.4142}}'",
        "left alone: linear0.weight: the norm `layernorm1` removes its scale",
    ]


def test_it_is_plain_data(solution):
    data = json.loads(json.dumps(solution.to_dict()))
    assert data["overrides"] == list(solution.overrides)
    assert data["settings"] == {"model.init.params": {"linear4.weight": {"gain": 1.4142}}}
    (parameter,) = data["parameters"]
    assert parameter["rms_after"] == pytest.approx(parameter["rms_before"] * 1.4142, rel=1e-4)
    assert data["left"] == [{"path": "linear0.weight", "reason": "the norm `layernorm1` removes its scale"}]
    assert data["after"]["nodes"][-1]["second_moment"] == pytest.approx(1, rel=1e-3)


def test_nothing_to_change():
    solution = mf.solve(mf.plan(mlp("ReLU", 1, 4, "lecun")))
    assert solution.overrides == ()
    assert "nothing to change" in str(solution)


def test_copies_that_hardly_differ_get_one_number():
    """A norm's eps makes the input of the second copy stronger, by far less than would be worth a line."""
    block = {"norm": "LayerNorm", "up": {"type": "Linear", "out_features": 8}}
    layers = {
        "first": {"type": "Linear", "out_features": 8, "init": {"scheme": "normal", "std": 0.02}},
        "blocks": {"type": "Repeat", "times": 3, "layers": {"add": {"type": "Residual", "layers": block}}},
    }
    solution = mf.solve(mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init="lecun")))
    assert [list(setting.value) for setting in solution.settings if "model.init" in setting.key] == [
        ["blocks.*.add.up.weight"]
    ]
