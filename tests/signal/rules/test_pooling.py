"""Pools and upsampling as predicted and as measured."""

from __future__ import annotations

import pytest

from tests.signal.nets import chain, check

CONV = {"type": "Conv2d", "out_channels": 48, "kernel_size": 3, "padding": 1}


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "MaxPool2d", "kernel_size": 2},
        {"type": "AvgPool2d", "kernel_size": 2},
        {"type": "AdaptiveAvgPool2d", "output_size": 1},
        {"type": "Upsample", "scale_factor": 2},
        {"type": "Flatten", "start_dim": 2},
    ],
    ids=lambda layer: layer["type"],
)
def test_pictures(layer):
    check(chain(CONV, "ReLU", layer, shape=[32, 6, 6], init={"scheme": "kaiming"}), batch=8)
