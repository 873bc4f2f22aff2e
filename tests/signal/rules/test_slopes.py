"""Rectifiers whose slopes are drawn, as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64}


@pytest.mark.parametrize(("count", "std"), [(1, 0.0), (64, 0.0), (1, 0.3), (64, 1.0)])
def test_slopes_that_are_drawn(count, std):
    """Those of one unit are the same at all positions, over which a mean is taken."""
    init = {"scheme": "normal", "mean": 0.25, "std": std} if std else {"scheme": "constant", "value": 0.25}
    slopes = {"type": "PReLU", "num_parameters": count, "init": {"scale": init}}
    kernels = {"type": "Conv1d", "out_channels": 64, "kernel_size": 1, "bias": False}
    check(chain(*[kernels, slopes] * 3, {"type": "Mean", "dim": 2}, shape=[64, 6], init="kaiming"), seeds=24)


def test_drawn_slopes_of_positions_are_refused():
    slopes = {"type": "PReLU", "num_parameters": 6, "init": {"scale": {"scheme": "normal", "std": 1.0}}}
    note = mf.predict(mf.plan(chain(LINEAR, slopes, shape=[6, 64], init="kaiming"))).node("prelu1").note
    assert note == "unknown from here on: it draws a slope for each position"


@pytest.mark.parametrize("training", [True, False])
def test_slopes_of_elements(training):
    slopes = {"type": "RReLU", "lower": -1.0, "upper": 1.0}
    check(chain(*[LINEAR, slopes] * 3, shape=[6, 64], init="kaiming"), training=training)
