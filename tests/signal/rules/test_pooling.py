"""Pools and upsampling as predicted and as measured."""

from __future__ import annotations

from math import log

import pytest

import modelforge as mf
from tests.signal.measured import measured
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
        {"type": "AvgPool2d", "kernel_size": 3, "stride": 1, "padding": 1},
        {"type": "AvgPool2d", "kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
        {"type": "AdaptiveAvgPool2d", "output_size": 3},
        {"type": "AdaptiveMaxPool2d", "output_size": [3, 4]},
        {"type": "Upsample", "scale_factor": 2, "mode": "bilinear"},
        {"type": "Upsample", "size": [9, 11], "mode": "bicubic"},
        {"type": "MaxPool2d", "kernel_size": 2, "return_indices": True},
    ],
    ids=lambda layer: " ".join(map(str, layer.values())),
)
def test_pictures(layer):
    check(chain(CONV, "ReLU", layer, shape=[32, 7, 6], init={"scheme": "kaiming"}), batch=8)


def test_norms_around_means_of_vectors_that_differ_by_sign_only():
    """A mean of vectors of one energy each has an energy of its own law, which the first norm does not know."""
    narrow, last = {"type": "Conv2d", "out_channels": 32, "kernel_size": 1}, {"type": "Permute", "dims": [0, 2, 3, 1]}
    pool, first = {"type": "AvgPool2d", "kernel_size": 4}, {"type": "Permute", "dims": [0, 3, 1, 2]}
    layers = (narrow, last, "LayerNorm", first, pool, last, "LayerNorm", {"type": "Linear", "out_features": 32})
    check(chain(*layers, shape=[1, 16, 16], init={"scheme": "normal", "std": 0.01}), seeds=4)


def test_maxima_at_fractional_places():
    """Forward only: windows that overlap by chance share maxima."""
    layer = {"type": "FractionalMaxPool2d", "kernel_size": 2, "output_size": 4}
    spec = chain(CONV, "ReLU", layer, shape=[32, 7, 6], init={"scheme": "kaiming"})
    node = mf.predict(mf.plan(spec), batch_size=8).node("fractionalmaxpool2d2")
    found = measured(mf.plan(spec), spec, seeds=4, batch=8)[node.path].forward
    assert sum(found) / 4 == pytest.approx(log(node.signal.second), abs=3 * node.signal.spread / 2)


def test_maxima_put_back():
    conv = CONV | {"padding_mode": "circular"}  # borders as strong as the middle
    layers = {
        "conv": conv,
        "pool": {"type": "MaxPool2d", "kernel_size": 2, "return_indices": True},
        "back": {"type": "MaxUnpool2d", "kernel_size": 2, "inputs": ["pool.0", "pool.1"]},
        "last": conv,
    }
    check(mf.parse({"input": {"shape": [32, 6, 6]}, "layers": layers}, init={"scheme": "kaiming"}), batch=8)


@pytest.mark.parametrize("size", [3000, 70_000])
def test_long_sequences(size):
    """Beyond what a matrix holds, fewer positions stand for all."""
    layers = [{"type": "AvgPool1d", "kernel_size": 4}, {"type": "AdaptiveAvgPool1d", "output_size": 1}]
    prediction = mf.predict(mf.plan(chain(*layers, shape=[2, size], init={"scheme": "kaiming"})))
    assert [node.signal.second for node in prediction.nodes[1:]] == pytest.approx([1 / 4, 1 / size], rel=1e-3)


@pytest.mark.parametrize(
    "between",
    ["BatchNorm2d", {"type": "GroupNorm", "num_groups": 1}, {"type": "Rescale", "factor": 2.0}],
    ids=["BatchNorm2d", "GroupNorm", "Rescale"],
)
@pytest.mark.parametrize("training", [True, False])
def test_maxima_of_what_is_left_of_an_activation(between, training):
    """A number times it, or a norm of it, is no normal number either: ReLU, batch norm and pool in this order."""
    conv, pool = {"type": "Conv2d", "out_channels": 32, "kernel_size": 3}, {"type": "MaxPool2d", "kernel_size": 2}
    check(chain(conv, "ReLU", between, pool, shape=[8, 12, 12], init="kaiming"), training=training, spare=0.03)


@pytest.mark.parametrize("drop", ["Dropout", "AlphaDropout"])
def test_maxima_of_what_a_dropout_left_of_an_activation_are_not_known(drop):
    conv, pool = {"type": "Conv2d", "out_channels": 32, "kernel_size": 3}, {"type": "MaxPool2d", "kernel_size": 2}
    spec = chain(conv, "ReLU", {"type": drop, "p": 0.5}, pool, shape=[8, 12, 12], init="kaiming")
    assert [node.type for node in mf.predict(mf.plan(spec)).unknown] == ["MaxPool2d"]
