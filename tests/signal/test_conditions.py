"""Conditions on single layers: closed forms, and what cannot be met."""

from __future__ import annotations

from math import sqrt

import pytest

import modelforge as mf
from tests.signal.nets import chain

WIDE = {"type": "Linear", "out_features": 64}
NARROW = {"type": "Linear", "out_features": 16}
LECUN = {"scheme": "lecun"}


def gains(spec, direction="forward"):
    solution = mf.solve(mf.plan(spec), direction)
    return {change.before.path: change.fields["gain"] for change in solution.changes}, solution


def test_gradients_count_outputs():
    """Var w = 2/n_out before a ReLU, so gain² = 2·n_in/n_out (He et al. 2015, eq. 14); 1·n_in/n_out where none is."""
    found, solution = gains(chain(WIDE, "ReLU", NARROW, shape=[32], init=LECUN), "backward")
    assert found["linear0.weight"] == pytest.approx(sqrt(32 / 64), rel=1e-4)
    assert found["linear2.weight"] == pytest.approx(sqrt(2 * 64 / 16), rel=1e-4)
    energies = [solution.after.node(path).gradient.energy for path in ("linear0", "linear2", "input")]
    assert energies == pytest.approx([1, 1, 1], rel=1e-3)


def test_both_is_the_geometric_mean():
    """σ_w² = √(1/(n_in·½)·1/(n_out·½)); the ratio of both energies is the same in all layers."""
    found, solution = gains(chain(WIDE, "ReLU", NARROW, shape=[32], init=LECUN), "both")
    assert found["linear2.weight"] == pytest.approx(sqrt(64 * 2 / sqrt(64 * 16)), rel=1e-4)
    ratios = [node.signal.second / node.gradient.energy for node in solution.after.nodes if node.type == "Linear"]
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-3)


def test_what_is_added_leaves_the_rest_to_the_weights():
    init = {"scheme": "lecun", "bias": {"scheme": "normal", "std": 0.5}}
    found, _ = gains(chain(WIDE, shape=[32], init=init))
    assert found["linear0.weight"] == pytest.approx(sqrt(1 - 0.25), rel=1e-4)


def test_what_cannot_be_met_is_said():
    init = {"scheme": "lecun", "bias": {"scheme": "normal", "std": 2.0}}
    _, solution = gains(chain(WIDE, shape=[32], init=init))
    assert not solution.changes
    assert [one.reason for one in solution.left] == ["its bias alone gives an energy of 4"]


def test_a_recurrence_of_tanh_is_critical():
    """At an energy of 1 before tanh, gradients keep theirs where σ_u² = 1/E φ′² = 2.1533, and σ_w² makes the other
    0.15096 (Schoenholz et al. 2017's critical pair, whose bias is the input here); many steps come close."""
    layer = {"type": "RNN", "hidden_size": 32}
    found, _ = gains(chain(layer, shape=[40, 16], init=LECUN))
    assert found["rnn0.weight_hh_l0"] == pytest.approx(sqrt(2.1533), rel=0.02)
    assert found["rnn0.weight_ih_l0"] == pytest.approx(sqrt(0.15096), rel=0.1)


def test_gates_keep_norms():
    found, _ = gains(chain({"type": "GRU", "hidden_size": 8}, shape=[5, 4], init={"scheme": "lecun", "gain": 3.0}))
    assert found == {"gru0.weight_ih_l0": 1.0, "gru0.weight_hh_l0": 1.0}


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_each_of_several_layers_gets_an_energy_of_1_before_its_gates(kind, dropout):
    layer = {"type": kind, "hidden_size": 32, "num_layers": 3, "dropout": dropout, "bidirectional": True}
    found, solution = gains(chain(layer, shape=[12, 16], init={"scheme": "lecun", "gain": 0.1}))
    name = f"{kind.lower()}0"
    assert found[f"{name}.weight_ih_l0"] == 1.0
    for number in (1, 2):
        # The same network with fewer layers says what the next one reads.
        first = {key: value for key, value in found.items() if int(key.rstrip("_revs")[-1]) < number}
        params = {key: {"gain": value} for key, value in first.items()}
        init = {"scheme": "lecun", "params": params}
        spec = chain(
            layer | {"num_layers": number, "dropout": dropout if number > 1 else 0.0}, shape=[12, 16], init=init
        )
        read = mf.predict(mf.plan(spec)).node(name).signal.second / (1 - dropout)
        gain = found[f"{name}.weight_ih_l{number}"]
        assert gain == pytest.approx(read**-0.5, rel=1e-3)
        assert gain == found[f"{name}.weight_ih_l{number}_reverse"]
    assert solution.left == ()


def test_where_all_is_dropped_between_layers_it_is_said():
    layer = {"type": "LSTM", "hidden_size": 8, "num_layers": 2, "dropout": 1.0}
    _, solution = gains(chain(layer, shape=[5, 4], init=LECUN))
    assert {one.reason for one in solution.left} == {"what it reads has no energy"}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_projections_of_states_keep_norms():
    layer = {"type": "LSTM", "hidden_size": 8, "proj_size": 4}
    found, _ = gains(chain(layer, {"type": "Linear", "out_features": 4}, shape=[5, 4], init={**LECUN, "gain": 3.0}))
    assert found["lstm0.weight_hr_l0"] == found["lstm0.weight_hh_l0"] == 1.0


def test_projections_of_attention_make_queries_keys_and_values_of_energy_1():
    spec = mf.parse(
        {"input": {"shape": [6, 16]}, "layers": {"attend": {"type": "SelfAttention", "num_heads": 2}}},
        init={"scheme": "lecun", "gain": 2.0},
    )
    found, solution = gains(spec)
    assert {found[f"attend.{name}_proj.weight"] for name in "qkv"} == {1.0}
    assert solution.after.node("attend").signal.second == pytest.approx(1, rel=1e-3)
