"""Which predicted signals and gradients a review reports."""

from __future__ import annotations

from dataclasses import replace
from math import inf, log

import pytest

import modelforge as mf
from modelforge.review.signals import FACTOR, SignalChange, signal_changes
from modelforge.signal.predict import Prediction

PATHS = ("a", "act", "b")


def predicted(gain: float, width: int = 256) -> Prediction:
    linear = {"type": "Linear", "out_features": width}
    model = {"input": {"shape": [width]}, "layers": {"a": linear, "act": "ReLU", "b": linear}}
    return mf.predict(mf.plan(mf.parse(model, {"scheme": "kaiming", "gain": gain})))


def changes(old: Prediction, new: Prediction) -> dict[tuple[str, str], float]:
    found = signal_changes(old, new, {path: path for path in PATHS})
    return {(change.what, change.path): change.ratio for change in found}


def test_a_gain_acts_once_for_each_layer_passed_in_either_direction():
    gain = 3.0
    assert changes(predicted(1.0), predicted(gain)) == {
        ("signal", "a"): pytest.approx(gain**2),
        ("signal", "act"): pytest.approx(gain**2),
        ("signal", "b"): pytest.approx(gain**4),
        ("gradient", "act"): pytest.approx(gain**2),
        ("gradient", "a"): pytest.approx(gain**2),
    }


def test_the_way_back_is_the_reverse():
    there, back = (changes(*sides) for sides in ((predicted(1.0), predicted(3.0)), (predicted(3.0), predicted(1.0))))
    assert {key: 1 / ratio for key, ratio in back.items()} == pytest.approx(there)


def test_what_draws_may_differ_by_is_no_change():
    """In layers of 4 units a factor of 2.5 is within the spread of both; in layers of 1,024 it is not."""
    gain = 2.5**0.5
    assert changes(predicted(1.0, width=4), predicted(gain, width=4)).keys() <= {("signal", "b")}
    assert ("signal", "a") in changes(predicted(1.0, width=1024), predicted(gain, width=1024))


def test_a_factor_below_the_threshold_is_no_change():
    assert changes(predicted(1.0), predicted((0.99 * FACTOR) ** 0.25)) == {}


def test_what_is_unknown_on_a_side_is_left_out():
    new = predicted(3.0)
    nodes = [node if node.path == "a" else replace(node, signal=None, gradient=None) for node in new.nodes]
    assert changes(predicted(1.0), replace(new, nodes=tuple(nodes))).keys() == {("signal", "a"), ("gradient", "a")}


def test_from_nothing_and_to_nothing():
    assert SignalChange("signal", "a", "Linear", 0.0, 2.0).ratio == inf
    assert SignalChange("signal", "a", "Linear", 2.0, 0.0).size == inf
    assert SignalChange("signal", "a", "Linear", 2.0, 1.0).size == pytest.approx(log(2))
