"""Elementwise layers as predicted and as measured."""

from __future__ import annotations

import pytest
import torch

import modelforge as mf
from modelforge.layers import unregister_layer
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


def test_drawn_parameters_of_other_activations_are_refused():
    @mf.register_layer(kind="activation")
    class Sharp(torch.nn.Module):
        """A sigmoid of a learned steepness."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(self.weight * x)

    try:
        init = {"scheme": "kaiming", "params": {"sharp1.weight": {"scheme": "normal", "mean": 1.0, "std": 1.0}}}
        note = mf.predict(mf.plan(chain(LINEAR, "Sharp", shape=[64], init=init))).node("sharp1").note
    finally:
        unregister_layer("Sharp")
    assert note == "unknown from here on: `Sharp` has parameters that are drawn"


@pytest.mark.parametrize(
    "between", [[], [{"type": "Rescale", "factor": -2.0}], [{"type": "Dropout", "p": 0.2}]], ids=str
)
def test_an_activation_of_what_an_activation_made_is_not_predicted(between):
    prediction = mf.predict(mf.plan(chain(LINEAR, "ReLU", *between, "Tanh", LINEAR, shape=[64], init="kaiming")))
    node = prediction.nodes[-2]
    assert node.signal is None
    assert "what an activation made" in node.note


@pytest.mark.parametrize("act", ["ReLU", "Hardtanh"])
def test_an_activation_of_its_own_values_gives_them_again(act):
    check(chain(LINEAR, act, act, LINEAR, shape=[64], init={"scheme": "kaiming", "gain": 2.0}))
