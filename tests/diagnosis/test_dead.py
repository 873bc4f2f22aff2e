"""dead: networks in which no weight can learn, and those in which one can."""

from __future__ import annotations

import pytest
import torch

import modelforge as mf
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.measuring import Batch
from tests.diagnosis.nets import deep

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


def test_a_signal_too_small_for_its_dtype_has_vanished():
    """Its root mean square halves in two layers, and the least float32 is 2⁻¹⁴⁹: no layer starts at 0."""
    found = diagnose(deep("xavier", depth=320), jacobian=False, solve=False).first
    assert found.levels[-1].measured_signal.energy == 0
    assert (found.cause.verdict, found.cause.key) == ("vanishes", "init")


def test_zeros_that_are_read():
    nothing = Batch((torch.zeros(4, 8),), "the training data")
    layers = {"first": LINEAR, "act": "ReLU", "head": LINEAR}
    plan = mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init="xavier"))
    found = diagnose(plan, data=nothing, jacobian=False).first.cause
    assert found.sentence.endswith("`first` (Linear) gives only zeros, because it reads only zeros")
    assert (found.verdict, found.key) == ("dead", "model.layers.first")
