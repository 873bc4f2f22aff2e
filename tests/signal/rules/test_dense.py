"""Linear layers as predicted and as measured."""

from __future__ import annotations

from math import isfinite

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64, "bias": False}


@pytest.mark.parametrize("widths", [(64, 256, 32, 128), (300, 20, 300, 20)])
@pytest.mark.parametrize(
    "init",
    [
        {"scheme": "kaiming", "mode": "fan_out"},
        {"scheme": "truncated_normal", "std": 0.1},
        {"scheme": "orthogonal", "gain": 1.4, "bias": {"scheme": "normal", "std": 0.5}},
        {"scheme": "sparse", "sparsity": 0.5, "std": 0.2},
    ],
    ids=lambda init: init["scheme"],
)
def test_widths_and_schemes(widths, init):
    layers = [layer for width in widths for layer in ({"type": "Linear", "out_features": width}, "Tanh")]
    check(chain(*layers, shape=[50], init=init))


def test_positions_share_weights():
    check(chain(*[{"type": "Linear", "out_features": 48}, "ReLU"] * 4, shape=[6, 48], init={"scheme": "kaiming"}))


def test_flatten_makes_units_of_positions():
    head = [{"type": "Linear", "out_features": 48}, "ReLU", "Flatten", {"type": "Linear", "out_features": 48}]
    check(chain(*head, shape=[6, 24], init={"scheme": "kaiming"}))


def test_a_tied_weight_is_found():
    layers = {name: {"type": "Linear", "out_features": 8, "bias": False} for name in ("one", "two")}
    spec = mf.parse({"input": {"shape": [8]}, "layers": layers, "tie": {"two.weight": "one.weight"}}, init="xavier")
    assert mf.predict(mf.plan(spec)).node("two").signal.second == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ({"type": "Conv2d", "out_channels": 8, "kernel_size": 3}, [8, 9, 9]),
        ({"type": "ConvTranspose1d", "out_channels": 8, "kernel_size": 3}, [8, 9]),
        ({"type": "RNN", "hidden_size": 8}, [5, 8]),
        ({"type": "GRUCell", "hidden_size": 8}, [8]),
        ({"type": "SelfAttention", "num_heads": 2}, [5, 8]),
    ],
    ids=lambda it: it["type"] if isinstance(it, dict) else "",
)
@pytest.mark.parametrize("init", [{"scheme": "constant", "value": 0.1}, {"scheme": "uniform", "low": 0.0, "high": 0.2}])
def test_weights_with_a_mean_are_refused(layer, shape, init):
    """All units after them share a sum, which grows by n·E w in each layer: energies of single units say nothing."""
    prediction = mf.predict(mf.plan(chain(layer, shape=shape, init={**init, "bias": "zeros"})))
    (unknown,) = prediction.unknown
    assert unknown.note.startswith("unknown from here on: its weights have the mean 0.1")


def test_no_gain_is_solved_for_weights_with_a_mean():
    plan = mf.plan(chain(*[LINEAR] * 10, shape=[64], init={"scheme": "constant", "value": 0.1}))
    solution = mf.solve(plan)
    assert not solution.settings
    assert solution.after.unknown


def test_a_small_mean_counts_as_chance():
    check(chain(*[LINEAR, "ReLU"] * 8, shape=[64], init={"scheme": "normal", "mean": 0.001, "std": 0.18}))


@pytest.mark.parametrize("scheme", ["identity", "zero", "orthogonal"])
def test_matrices_that_keep_lengths_keep_those_of_numbers_with_a_mean(scheme):
    init = {"scheme": "kaiming", "params": {"linear2.weight": {"scheme": scheme}}}
    check(chain(LINEAR, "ReLU", LINEAR, shape=[64], init=init), seeds=16)


@pytest.mark.slow
def test_how_energies_differ_is_bounded_in_any_depth():
    """It grows by (1 + 2/n) a layer, beyond double precision in 1,800 layers of 4 units."""
    layers = {"deep": {"type": "Repeat", "times": 1_900, "layers": {"dense": {"type": "Linear", "out_features": 4}}}}
    prediction = mf.predict(mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="xavier")))
    assert all(isfinite(node.signal.spread) and isfinite(node.gradient.spread) for node in prediction.nodes)
