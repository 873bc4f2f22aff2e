"""Positions made of positions: energies of sums with fixed weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool1d

import modelforge as mf
from modelforge.signal.resampled import adaptive_means, matrix_of, resampled
from modelforge.signal.shape import Shape, fading
from modelforge.signal.value import Gradient, Signal
from tests.signal.measured import measured
from tests.signal.nets import chain


def test_the_matrix_of_a_pool():
    assert matrix_of(lambda x: avg_pool1d(x, 2), 4).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]


@pytest.mark.parametrize(("size", "count"), [(7, 3), (6, 4), (3, 5)])
def test_adaptive_means_are_those_of_torch(size, count):
    found = torch.nn.functional.adaptive_avg_pool1d(torch.eye(size)[None], count)[0].T
    assert adaptive_means(size, count) == pytest.approx(found.numpy(), rel=1e-6)


@pytest.mark.parametrize(("along", "near"), [(0.0, 0.0), (0.3, 0.0), (0.3, 0.7)])
def test_energies_of_correlated_positions(along, near):
    """Exact for any matrix: E y yᵀ = M (E x xᵀ) Mᵀ."""
    matrix = np.random.default_rng(0).normal(size=(5, 8))
    apart = np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
    alike = fading(near, apart)
    far = (along - (alike.sum() - 8) / 56) / (1 - (alike.sum() - 8) / 56)  # so that the mean of two positions is that
    signal = Signal(Shape((2, 3, 8), 0, 1), 0.0, 1.0, along, 0.0, near=near)
    result = resampled(signal, Shape((2, 3, 5), 0, 1), [matrix])
    covariance = matrix @ (far + (1 - far) * alike) @ matrix.T
    output = result.outputs[()]
    assert output.second == pytest.approx(np.trace(covariance) / 5)
    assert output.along == pytest.approx((covariance.sum() - np.trace(covariance)) / 20)
    assert output.profile[2] * output.second == pytest.approx(np.diag(covariance))
    back = result.back({(): Gradient(1.0, along)})[0]
    assert back is not None
    covariance = matrix.T @ (np.full((5, 5), along) + (1 - along) * np.eye(5)) @ matrix
    assert back.energy == pytest.approx(np.trace(covariance) / 8)
    assert back.along == pytest.approx((covariance.sum() - np.trace(covariance)) / 56)


CONV = {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}


@pytest.mark.parametrize(
    "pool",
    [
        {"type": "AvgPool2d", "kernel_size": 3, "stride": 1, "padding": 1},
        {"type": "MaxPool2d", "kernel_size": 3, "stride": 2, "padding": 1},
        {"type": "Upsample", "scale_factor": 2, "mode": "bilinear"},
    ],
)
def test_neighbours_that_share_what_they_read_are_averaged_as_alike(pool):
    """Taken as independent, they would have 0.4 to 1 less in ln E x²."""
    spec = chain(
        CONV, pool, CONV, "BatchNorm2d", {"type": "AvgPool2d", "kernel_size": 2}, shape=[8, 14, 14], init="xavier"
    )
    plan = mf.plan(spec)
    last = mf.predict(plan, batch_size=16).nodes[-1]
    found = measured(plan, spec, seeds=4, batch=16)[last.path].forward
    assert last.signal.log_mean == pytest.approx(np.mean(found), abs=0.12)
