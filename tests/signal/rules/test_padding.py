"""Padding layers as predicted and as measured."""

from __future__ import annotations

import pytest

from tests.signal.nets import chain, check

CONV = {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "ZeroPad2d", "padding": [2, 1, 0, 3]},
        {"type": "ZeroPad2d", "padding": [-2, 1, 0, -1]},
        {"type": "ConstantPad2d", "padding": 1, "value": 0.7},
        {"type": "ReflectionPad2d", "padding": [2, 1, 0, 3]},
        {"type": "ReplicationPad2d", "padding": [2, 1, 0, 3]},
        {"type": "CircularPad2d", "padding": [2, 1, 0, 3]},
    ],
    ids=lambda layer: f"{layer['type']} {layer['padding']}",
)
def test_pictures(layer):
    check(chain(CONV, "ReLU", layer, CONV, shape=[16, 7, 6], init="kaiming"), batch=8)


def test_maxima_of_copies_are_those_of_the_activation():
    pool = {"type": "MaxPool1d", "kernel_size": 2, "stride": 2}
    conv = {"type": "Conv1d", "out_channels": 32, "kernel_size": 3}
    check(chain(conv, "ReLU", {"type": "CircularPad1d", "padding": 1}, pool, shape=[16, 20], init="kaiming"))
