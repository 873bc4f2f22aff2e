"""Recurrent layers as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

LAST = {"type": "Select", "dim": 1, "index": -1}


@pytest.mark.parametrize(
    "layer", [{"type": "RNN"}, {"type": "RNN", "num_layers": 2}, {"type": "LSTM"}, {"type": "GRU"}], ids=str
)
def test_the_last_step(layer):
    check(chain(layer | {"hidden_size": 96}, LAST, shape=[10, 48], init={"scheme": "xavier"}))


def test_an_rnn_of_relu():
    layer = {"type": "RNN", "hidden_size": 96, "nonlinearity": "relu"}
    check(chain(layer, LAST, shape=[10, 48], init={"scheme": "kaiming"}))


def test_torchs_start_lets_gradients_vanish():
    """Weights of U(-1/√H, 1/√H) have σ² = 1/3: early steps hardly count."""
    layer = {"type": "RNN", "hidden_size": 96, "nonlinearity": "relu"}
    spec = chain(layer, LAST, shape=[10, 48], init={"scheme": "uniform", "low": -(96**-0.5), "high": 96**-0.5})
    gradient = mf.predict(mf.plan(spec)).node("input").gradient
    steps = gradient.profile[1]
    assert steps[0] / steps[-1] == pytest.approx(6.0**-9, rel=1e-6)


def test_fixed_weights_are_not_predicted():
    layer = {"type": "RNN", "hidden_size": 96, "nonlinearity": "relu"}
    spec = chain(layer, shape=[10, 48], init={"scheme": "xavier", "recurrent": {"scheme": "identity"}})
    assert "fixed values" in mf.predict(mf.plan(spec)).node("rnn0").note
