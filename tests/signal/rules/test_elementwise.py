"""Elementwise layers as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64}


@pytest.mark.parametrize("layer", [{"type": "Rescale", "factor": 0.5}, "Scale", "LayerScale", "Identity"])
def test_numbers_that_multiply(layer):
    init = {"scheme": "kaiming", "scale": {"scheme": "constant", "value": 0.7}}
    check(chain(*[LINEAR, layer, "Tanh"] * 3, shape=[64], init=init))


def test_a_flat_activation_lets_no_gradient_through():
    spec = chain(LINEAR, {"type": "Threshold", "threshold": 1e9, "value": 2.0}, shape=[64], init={"scheme": "xavier"})
    prediction = mf.predict(mf.plan(spec))
    assert prediction.node("threshold1").signal.second == pytest.approx(4.0)
    assert prediction.node("linear0").gradient.energy == 0
