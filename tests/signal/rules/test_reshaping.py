"""Layers that move, pick and average, as predicted and as measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import modelforge as mf
from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64}
PADDED = {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}
AS_STEPS = {"type": "Flatten", "start_dim": 2}
SEEDS = 8


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


@pytest.mark.parametrize(
    "layers",
    [
        [{"type": "GLU", "dim": 1}],
        [{"type": "Unfold", "kernel_size": 3, "padding": 1}],
        [AS_STEPS, {"type": "Fold", "kernel_size": 1, "output_size": [4, 4]}],
        [{"type": "Select", "dim": 2, "index": 1}],
        [{"type": "Mean", "dim": [2, 3], "keepdim": True}],
        ["Flatten"],
    ],
    ids=str,
)
def test_covariances_of_two_examples_by_place(layers):
    """Padding leaves each place taps of its own: two examples are more alike at one place than at two."""
    spec = chain(PADDED, "ReLU", PADDED, *layers, shape=[8, 4, 4], init="kaiming")
    signal = mf.predict(mf.plan(spec), batch_size=8).nodes[-1].signal
    found = np.array([_by_place(mf.build(spec, seed=seed), seed) for seed in range(SEEDS)])
    same, other = signal.by_place
    assert found[:, 0].mean() == pytest.approx(same, abs=4 * found[:, 0].std() / SEEDS**0.5)
    if signal.shape.num_positions > 1:
        assert found[:, 1].mean() == pytest.approx(other, abs=4 * found[:, 1].std() / SEEDS**0.5)


def _by_place(model: nn.Module, seed: int, batch: int = 8) -> tuple[float, float]:
    """Mean products of a unit of two examples at one position, and at two."""
    torch.manual_seed(seed)
    with torch.no_grad():
        x = model(torch.randn(batch, 8, 4, 4)).double()
    x = x.reshape(*x.shape[:2], -1)
    pairs, places = batch * (batch - 1), x.shape[-1]
    same = float((x.sum(dim=0) ** 2 - (x**2).sum(dim=0)).mean()) / pairs
    means = x.mean(dim=-1)
    mean = float((means.sum(dim=0) ** 2 - (means**2).sum(dim=0)).mean()) / pairs
    return same, (mean * places - same) / max(1, places - 1)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [2, 3, [2, 3]])
def test_means_over_some_positions(dim, keepdim):
    mean = {"type": "Mean", "dim": dim, "keepdim": keepdim}
    kind = "Conv2d" if keepdim else "Conv1d" if isinstance(dim, int) else "Linear"
    last = {"out_features": 8} if kind == "Linear" else {"out_channels": 8, "kernel_size": 1}
    check(chain(mean, {"type": kind, **last}, shape=[8, 6, 6], init="kaiming"))


def test_gradients_of_what_is_flattened_do_not_depend_on_each_other():
    """A batch norm takes the mean over examples out, which is none over positions: energies fell below 0."""
    conv, double = {"type": "Conv2d", "out_channels": 8, "kernel_size": 1}, {"type": "Upsample", "scale_factor": 2}
    head = ["Flatten", {"type": "Linear", "out_features": 16}, "BatchNorm1d"]
    layers = [conv, double, double | {"mode": "bilinear"}, double, *head]
    check(chain(*layers, shape=[4, 3, 3], init="xavier"), spare=0.2)
