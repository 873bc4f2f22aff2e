"""Layers that move, pick and average, as predicted and as measured."""

from __future__ import annotations

import pytest

from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64}


@pytest.mark.parametrize(
    "layer",
    [
        "Flatten",
        {"type": "Select", "dim": 1, "index": 0},
        {"type": "Mean", "dim": 1},
        {"type": "Permute", "dims": [0, 2, 1]},
        {"type": "Reshape", "shape": [6, 64]},
    ],
    ids=str,
)
def test_steps(layer):
    check(chain(LINEAR, "ReLU", layer, LINEAR, shape=[6, 32], init={"scheme": "kaiming"}))
