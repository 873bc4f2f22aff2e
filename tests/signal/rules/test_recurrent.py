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


@pytest.mark.parametrize("init", ["xavier", "torch"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_keep_what_is_alike_from_step_to_step(kind, init):
    """A mean over steps sends the same gradient to all of them."""
    mean = {"type": "Mean", "dim": 1}
    check(chain({"type": kind, "hidden_size": 64}, mean, shape=[12, 32], init={"scheme": init}))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_second_layer_reads_states_that_stay(kind):
    check(chain({"type": kind, "hidden_size": 64, "num_layers": 2}, LAST, shape=[12, 32], init={"scheme": "torch"}))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_dropout_between_layers(kind):
    """Of energies, 1/(1 - p) times as much arrives at the second layer, and of gradients at the first."""
    layer = {"type": kind, "hidden_size": 96, "num_layers": 2, "dropout": 0.6}
    check(chain(layer, LAST, shape=[10, 48], init={"scheme": "torch"}))
    plan = mf.plan(chain(layer, LAST, shape=[10, 48], init={"scheme": "torch"}))
    without = mf.plan(chain(layer | {"dropout": 0.0}, LAST, shape=[10, 48], init={"scheme": "torch"}))
    evaluated = mf.predict(plan, training=False)
    assert evaluated.node("select1").signal == mf.predict(without, training=False).node("select1").signal


def test_where_all_is_dropped_nothing_arrives():
    layer = {"type": "GRU", "hidden_size": 8, "num_layers": 2, "dropout": 1.0}
    found = mf.predict(mf.plan(chain(layer, LAST, shape=[5, 4], init={"scheme": "xavier"})))
    assert (found.node("gru0").signal.second, found.node("input").gradient.energy) == (0, 0)


@pytest.mark.parametrize("end", ["Mean", "Select"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gradients_that_a_layer_sends_are_as_alike_as_those_that_it_gets(kind, end):
    """A layer keeps part of each gradient; what four of them send to the first is nearly the same at all steps."""
    layer = {"type": kind, "hidden_size": 64, "num_layers": 4}
    last = {"Mean": {"type": "Mean", "dim": 1}, "Select": LAST}[end]
    check(chain(layer, last, shape=[12, 32], init={"scheme": "torch"}), seeds=8)


@pytest.mark.parametrize("kind", ["RNNCell", "GRUCell"])
def test_one_step(kind):
    layers = {"state": {"type": "Linear", "out_features": 96}, "cell": {"type": kind, "hidden_size": 96}}
    layers["cell"]["inputs"] = ["input", "state"]
    check(mf.parse({"input": {"shape": [48]}, "layers": layers}, init={"scheme": "xavier"}))


def test_an_lstm_cell_gives_two_states():
    cell, head = {"type": "LSTMCell", "hidden_size": 96}, {"type": "Linear", "out_features": 8, "inputs": "cell.0"}
    spec = mf.parse({"input": {"shape": [48]}, "layers": {"cell": cell, "head": head}}, init={"scheme": "torch"})
    check(spec)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_projected_states():
    check(chain({"type": "LSTM", "hidden_size": 96, "proj_size": 48}, LAST, shape=[10, 48], init={"scheme": "torch"}))


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
