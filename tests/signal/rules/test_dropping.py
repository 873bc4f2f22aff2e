"""Dropouts as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64}
CONV = {"type": "Conv1d", "out_channels": 48, "kernel_size": 3, "padding": 1}
KINDS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "DropPath")


@pytest.mark.parametrize("training", [True, False])
def test_elements(training):
    drop = {"type": "Dropout", "p": 0.3}
    check(chain(*[LINEAR, "ReLU", drop] * 4, shape=[64], init={"scheme": "kaiming"}), training=training)


@pytest.mark.parametrize("kind", ["Dropout1d", "AlphaDropout", "FeatureAlphaDropout"])
def test_channels(kind):
    check(chain(CONV, "ReLU", {"type": kind, "p": 0.3}, CONV, shape=[32, 9], init="kaiming"))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_what_is_dropped_always(kind):
    rank = int(kind[-2]) if kind.endswith("d") else 1
    plan = mf.plan(chain({"type": kind, "p": 1}, shape=[4, *[3] * rank], init="kaiming"))
    prediction = mf.predict(plan)
    assert prediction.nodes[1].signal.second == prediction.node("input").gradient.energy == 0
    assert mf.predict(plan, training=False).nodes[1].signal.second == pytest.approx(1.0)
