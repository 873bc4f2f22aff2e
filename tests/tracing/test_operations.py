"""Functions and methods that have a layer, and the layers that they become."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.tracing.roundtrip import layers
from tests.tracing.test_steps import Net

STEPS, IMAGE = (2, 3, 4), (2, 4, 8, 8)

CASES: dict[str, tuple[tuple[int, ...], Callable[[Tensor], Any], Any]] = {
    "relu": (STEPS, F.relu, "ReLU"),
    "torch.relu": (STEPS, torch.relu, "ReLU"),
    "x.relu": (STEPS, lambda x: x.relu(), "ReLU"),
    "relu_": (STEPS, torch.relu_, "ReLU"),
    "relu in place": (STEPS, lambda x: F.relu(x, inplace=True), "ReLU"),
    "relu6": (STEPS, F.relu6, "ReLU6"),
    "elu": (STEPS, lambda x: F.elu(x, 0.5), {"type": "ELU", "alpha": 0.5}),
    "celu": (STEPS, F.celu, "CELU"),
    "selu": (STEPS, F.selu, "SELU"),
    "silu": (STEPS, F.silu, "SiLU"),
    "mish": (STEPS, F.mish, "Mish"),
    "gelu": (STEPS, lambda x: F.gelu(x, approximate="tanh"), {"type": "GELU", "approximate": "tanh"}),
    "leaky_relu": (STEPS, lambda x: F.leaky_relu(x, 0.2), {"type": "LeakyReLU", "negative_slope": 0.2}),
    "hardswish": (STEPS, F.hardswish, "Hardswish"),
    "hardsigmoid": (STEPS, F.hardsigmoid, "Hardsigmoid"),
    "hardtanh": (STEPS, lambda x: F.hardtanh(x, -2.0, 2.0), {"type": "Hardtanh", "min_val": -2.0, "max_val": 2.0}),
    "logsigmoid": (STEPS, F.logsigmoid, "LogSigmoid"),
    "softplus": (STEPS, lambda x: F.softplus(x, 2.0), {"type": "Softplus", "beta": 2.0}),
    "softsign": (STEPS, F.softsign, "Softsign"),
    "tanhshrink": (STEPS, F.tanhshrink, "Tanhshrink"),
    "softshrink": (STEPS, F.softshrink, "Softshrink"),
    "hardshrink": (STEPS, F.hardshrink, "Hardshrink"),
    "threshold": (STEPS, lambda x: F.threshold(x, 0.1, 0.2), {"type": "Threshold", "threshold": 0.1, "value": 0.2}),
    "sigmoid": (STEPS, torch.sigmoid, "Sigmoid"),
    "tanh": (STEPS, lambda x: x.tanh(), "Tanh"),
    "glu": (STEPS, F.glu, "GLU"),
    "softmax": (STEPS, lambda x: x.softmax(-1), {"type": "Softmax", "dim": -1}),
    "softmin": (STEPS, lambda x: F.softmin(x, dim=1), {"type": "Softmin", "dim": 1}),
    "log_softmax": (STEPS, lambda x: F.log_softmax(x, 2), {"type": "LogSoftmax", "dim": 2}),
    "max_pool1d": (STEPS, lambda x: F.max_pool1d(x, 2), {"type": "MaxPool1d", "kernel_size": 2}),
    "max_pool2d": (
        IMAGE,
        lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        {"type": "MaxPool2d", "kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    ),
    "avg_pool1d": (STEPS, lambda x: F.avg_pool1d(x, 2), {"type": "AvgPool1d", "kernel_size": 2}),
    "avg_pool2d": (
        IMAGE,
        lambda x: F.avg_pool2d(x, 2, padding=1, count_include_pad=False),
        {"type": "AvgPool2d", "kernel_size": 2, "padding": 1, "count_include_pad": False},
    ),
    "lp_pool2d": (IMAGE, lambda x: F.lp_pool2d(x, 2.0, 2), {"type": "LPPool2d", "norm_type": 2.0, "kernel_size": 2}),
    "adaptive_avg_pool2d": (
        IMAGE,
        lambda x: F.adaptive_avg_pool2d(x, (1, 1)),
        {"type": "AdaptiveAvgPool2d", "output_size": 1},
    ),
    "adaptive_max_pool2d": (
        IMAGE,
        lambda x: F.adaptive_max_pool2d(x, (2, 3)),
        {"type": "AdaptiveMaxPool2d", "output_size": [2, 3]},
    ),
    "pixel_shuffle": (IMAGE, lambda x: F.pixel_shuffle(x, 2), {"type": "PixelShuffle", "upscale_factor": 2}),
    "pixel_unshuffle": (IMAGE, lambda x: F.pixel_unshuffle(x, 2), {"type": "PixelUnshuffle", "downscale_factor": 2}),
    "interpolate": (
        IMAGE,
        lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False),
        {"type": "Upsample", "scale_factor": 2.0, "mode": "bilinear", "align_corners": False},
    ),
    "interpolate to a size": (
        IMAGE,
        lambda x: F.interpolate(x, size=x.shape[2:]),
        {"type": "Upsample", "size": 8},
    ),
    "flatten": (IMAGE, lambda x: torch.flatten(x, 1), "Flatten"),
    "flatten in part": (IMAGE, lambda x: x.flatten(2), {"type": "Flatten", "start_dim": 2}),
    "view": (IMAGE, lambda x: x.view(x.size(0), -1), "Flatten"),
    "view of a shape": (IMAGE, lambda x: x.view(x.shape[0], x.shape[1], -1), {"type": "Reshape", "shape": [4, 64]}),
    "view of the rest": (IMAGE, lambda x: x.view(-1, 4 * 8 * 8), "Flatten"),
    "unsqueeze": (STEPS, lambda x: x.unsqueeze(1), {"type": "Reshape", "shape": [1, 3, 4]}),
    "unflatten": (STEPS, lambda x: x.unflatten(2, (2, 2)), {"type": "Reshape", "shape": [3, 2, 2]}),
    "permute": (IMAGE, lambda x: x.permute(0, 2, 3, 1).contiguous(), {"type": "Permute", "dims": [0, 2, 3, 1]}),
    "torch.permute": (IMAGE, lambda x: torch.permute(x, (0, 2, 3, 1)), {"type": "Permute", "dims": [0, 2, 3, 1]}),
    "transpose": (STEPS, lambda x: x.transpose(-1, 1), {"type": "Permute", "dims": [0, 2, 1]}),
    "mean": (IMAGE, lambda x: x.mean([2, 3]), {"type": "Mean", "dim": [2, 3]}),
    "mean with its dimension": (
        STEPS,
        lambda x: torch.mean(x, 1, keepdim=True),
        {"type": "Mean", "dim": 1, "keepdim": True},
    ),
    "select": (STEPS, lambda x: x.select(1, 0), {"type": "Select", "dim": 1, "index": 0}),
    "item": (STEPS, lambda x: x[:, -1], {"type": "Select", "dim": 1, "index": -1}),
    "new dimension": (STEPS, lambda x: x[:, None], {"type": "Reshape", "shape": [1, 3, 4]}),
    "last item": (STEPS, lambda x: x[..., 0], {"type": "Select", "dim": 2, "index": 0}),
    "times": (STEPS, lambda x: x * 2, {"type": "Rescale", "factor": 2.0}),
    "of": (STEPS, lambda x: 0.5 * x, {"type": "Rescale", "factor": 0.5}),
    "over": (STEPS, lambda x: x / 4, {"type": "Rescale", "factor": 0.25}),
    "over by name": (STEPS, lambda x: torch.div(input=x, other=4), {"type": "Rescale", "factor": 0.25}),
    "axis": (STEPS, lambda x: x.mean(axis=1, keepdims=True), {"type": "Mean", "dim": 1, "keepdim": True}),
    "axes": (STEPS, lambda x: torch.swapaxes(x, axis0=1, axis1=2), {"type": "Permute", "dims": [0, 2, 1]}),
    "shape by name": (
        STEPS,
        lambda x: torch.reshape(x, shape=(x.shape[0], 2, 6)),
        {"type": "Reshape", "shape": [2, 6]},
    ),
    "minus": (STEPS, operator.neg, {"type": "Rescale", "factor": -1.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_one_tensor(name):
    shape, function, expected = CASES[name]
    found = layers(Net(lambda module, x: function(x)), torch.randn(shape))
    assert list(found.values()) == [expected]


PAIRS: dict[str, tuple[Callable[[Tensor, Tensor], Any], Any]] = {
    "plus": (lambda x, y: x + y, "Add"),
    "add": (torch.add, "Add"),
    "in place": (operator.iadd, "Add"),
    "sum": (lambda x, y: sum([x, y]), "Add"),
    "times": (lambda x, y: x * y, "Multiply"),
    "mul": (lambda x, y: x.mul(y), "Multiply"),
    "cat": (lambda x, y: torch.cat([x, y], 1), "Concat"),
    "cat of others": (lambda x, y: torch.cat((x, y), dim=-1), ("Concat", {"dim": -1})),
    "similar by name": (lambda x, y: F.cosine_similarity(x1=x, x2=y, dim=2), ("CosineSimilarity", {"dim": 2})),
    "distant by name": (lambda x, y: F.pairwise_distance(x, x2=y, p=1.0), ("PairwiseDistance", {"p": 1.0})),
    "joined along an axis": (lambda x, y: torch.concatenate((x, y), axis=2), ("Concat", {"dim": 2})),
    "similar": (lambda x, y: F.cosine_similarity(x, y, dim=2), ("CosineSimilarity", {"dim": 2})),
    "distant": (F.pairwise_distance, "PairwiseDistance"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_tensors(name):
    function, expected = PAIRS[name]
    found = layers(Net(lambda module, x: function(torch.tanh(x), torch.sigmoid(x))), torch.randn(STEPS))
    kind, arguments = expected if isinstance(expected, tuple) else (expected, {})
    *_, last = found.values()
    assert last == {"type": kind, **arguments, "inputs": ["tanh", "sigmoid"]}


def test_what_changes_nothing_is_no_layer():
    def forward(module: Any, x: Tensor) -> Tensor:
        x = x.contiguous().float().to(x.device) + 0
        return torch.relu(x[:].clone() * 1)

    assert layers(Net(forward), torch.randn(STEPS)) == {"relu": "ReLU"}


def test_dropout_of_functions():
    found = layers(
        Net(lambda m, x: F.dropout(F.dropout1d(x, 0.1, m.training), training=m.training)), torch.randn(STEPS)
    )
    assert found == {"dropout1d": {"type": "Dropout1d", "p": 0.1}, "dropout": "Dropout"}
