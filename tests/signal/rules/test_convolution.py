"""Convolutions as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

HE = {"scheme": "kaiming"}


def conv(**arguments):
    return {"type": "Conv2d", "out_channels": 32, "kernel_size": 3} | arguments


@pytest.mark.parametrize(
    "layer",
    [
        conv(padding=1),
        conv(stride=2, padding=1),
        conv(groups=4, padding=1),
        conv(dilation=2, padding="same"),
        conv(padding=1, padding_mode="circular"),
        conv(padding=1, padding_mode="reflect"),
        conv(kernel_size=1, init={"scheme": "kaiming", "bias": {"scheme": "normal", "std": 0.5}}),
        {"type": "ConvTranspose2d", "out_channels": 32, "kernel_size": 2, "stride": 2},
    ],
    ids=lambda layer: ",".join(f"{name}={value}" for name, value in list(layer.items())[3:]) or "plain",
)
def test_windows(layer):
    check(chain(layer, "ReLU", layer, "ReLU", shape=[16, 12, 12], init=HE), batch=4)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_zero_padding_drains_the_signal(size):
    """Twelve layers of 3×3 on 8×8 leave 0.30 (eigenvalues alone: 0.37·0.81)."""
    spec = chain(*[conv(padding=1), "ReLU"] * 12, shape=[32, size, size], init=HE)
    check(spec, batch=4)
    second = mf.predict(mf.plan(spec)).node("relu23").signal.second
    assert second == pytest.approx({4: 0.041, 8: 0.299, 16: 0.627}[size], abs=0.1)


def test_one_and_three_dimensions():
    check(chain({"type": "Conv1d", "out_channels": 32, "kernel_size": 5, "padding": 2}, "Tanh", shape=[8, 20], init=HE))
    deep = {"type": "Conv3d", "out_channels": 24, "kernel_size": 3, "padding": 1}
    check(chain(deep, "ReLU", shape=[4, 5, 5, 5], init=HE), batch=4)


def test_padding_layers():
    pad = {"type": "ZeroPad2d", "padding": [2, 1, 0, 3]}
    check(chain(conv(), "Tanh", pad, conv(), shape=[16, 9, 9], init=HE), batch=4)
