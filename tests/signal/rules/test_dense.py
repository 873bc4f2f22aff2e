"""Linear layers as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check


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
