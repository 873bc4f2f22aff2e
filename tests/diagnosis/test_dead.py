"""dead: networks in which no weight can learn, and those in which one can."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.diagnosis.diagnose import diagnose

LINEAR = {"type": "Linear", "out_features": 8}
NOTHING = {
    "dropped": {"type": "Dropout", "p": 1},
    "never": {"type": "Threshold", "threshold": 1e9, "value": 0},
}


def cause(*middle, init="xavier", head=LINEAR, measure=False):
    named = {f"mid{number}": layer for number, layer in enumerate(middle)}
    layers = {"first": LINEAR, **named, "head": head}
    plan = mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init=init))
    return diagnose(plan, measure=measure).first.cause


@pytest.mark.parametrize("measure", [False, True])
@pytest.mark.parametrize("layer", NOTHING)
def test_a_layer_that_gives_only_zeros(layer, measure):
    found = cause(NOTHING[layer], measure=measure)
    assert (found.verdict, found.severity, found.key) == ("dead", "error", "model.layers.mid0")
    assert found.sentence == f"No weight can learn: `mid0` ({NOTHING[layer]['type']}) gives only zeros"


def test_weights_that_all_start_at_zero():
    found = cause("ReLU", init="zeros")
    assert (found.verdict, found.key) == ("dead", "init")
    assert "`zeros` starts `first.weight` at 0" in found.sentence


def test_one_layer_that_starts_at_zero_learns():
    assert cause("ReLU", head={**LINEAR, "init": "zeros"}).verdict != "dead"
    assert cause().verdict == "steady"
