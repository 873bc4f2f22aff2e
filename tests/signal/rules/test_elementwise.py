"""Elementwise layers as predicted and as measured."""

from __future__ import annotations

from statistics import fmean

import pytest
import torch

import modelforge as mf
from modelforge.layers import unregister_layer
from tests.signal.measured import measured
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


@pytest.mark.parametrize("norm", ["BatchNorm1d", "LayerNorm", "RMSNorm"])
def test_a_norm_does_not_make_what_an_activation_made_normal(norm):
    """ReLU, BatchNorm, ReLU: taken as normal, 0.15 off in ln E x² and 0.5 in ln E g²."""
    layers = [{"type": "Linear", "out_features": 32}, "ReLU", norm, "Tanh"]
    unknown = mf.predict(mf.plan(chain(*layers, shape=[32], init="kaiming"))).unknown
    assert [(node.type, "what an activation made" in node.note) for node in unknown] == [("Tanh", True)]


@pytest.mark.parametrize(
    ("drop", "act", "known"),
    [
        ("Dropout", "Tanh", False),
        ("Dropout", "ReLU", True),
        ("AlphaDropout", "ReLU", False),
        ("DropPath", "Sigmoid", False),
        ("DropPath", "Tanh", True),
    ],
)
def test_an_activation_of_what_a_dropout_left(drop, act, known):
    """Zeros and normal numbers: only a function that keeps the scale has the energy of normal ones."""
    layers = [{"type": "Linear", "out_features": 64, "bias": False}, {"type": drop, "p": 0.5}, act]
    for training in (True, False):
        spec = chain(*layers, shape=[64], init="kaiming")
        plan = mf.plan(spec)
        last = mf.predict(plan, batch_size=16, training=training).nodes[-1]
        assert (last.signal is not None) == (known or not training), last.note
        if last.signal is not None:
            found = measured(plan, spec, seeds=12, batch=16, training=training)[last.path]
            spread = last.signal.spread / len(found.forward) ** 0.5
            assert last.signal.log_mean == pytest.approx(fmean(found.forward), abs=0.02 + 3 * spread)


@pytest.mark.parametrize(("before", "known"), [("GELU", False), ({"type": "Linear", "out_features": 32}, True)])
def test_a_norm_of_what_is_not_known_is_normal_where_weights_made_that(before, known):
    layers = [{"type": "Linear", "out_features": 32}, "GELU", "Tanh", before, "RMSNorm", "SiLU"]
    nodes = mf.predict(mf.plan(chain(*layers, shape=[32], init="kaiming"))).nodes
    assert nodes[-2].signal is not None
    assert (nodes[-1].signal is not None) == known
    assert nodes[-2].note.endswith("independent") == known
