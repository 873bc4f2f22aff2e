"""Positions made of positions: energies of sums with fixed weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool1d

from modelforge.signal.resampled import adaptive_means, matrix_of, resampled
from modelforge.signal.shape import Shape
from modelforge.signal.value import Gradient, Signal


def test_the_matrix_of_a_pool():
    assert matrix_of(lambda x: avg_pool1d(x, 2), 4).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]


@pytest.mark.parametrize(("size", "count"), [(7, 3), (6, 4), (3, 5)])
def test_adaptive_means_are_those_of_torch(size, count):
    found = torch.nn.functional.adaptive_avg_pool1d(torch.eye(size)[None], count)[0].T
    assert adaptive_means(size, count) == pytest.approx(found.numpy(), rel=1e-6)


@pytest.mark.parametrize("along", [0.0, 0.3])
def test_energies_of_correlated_positions(along):
    """Exact for any matrix: E y yᵀ = M (E x xᵀ) Mᵀ."""
    matrix = np.random.default_rng(0).normal(size=(5, 8))
    signal = Signal(Shape((2, 3, 8), 0, 1), 0.0, 1.0, along, 0.0)
    result = resampled(signal, Shape((2, 3, 5), 0, 1), [matrix])
    covariance = matrix @ (np.full((8, 8), along) + (1 - along) * np.eye(8)) @ matrix.T
    output = result.outputs[()]
    assert output.second == pytest.approx(np.trace(covariance) / 5)
    assert output.along == pytest.approx((covariance.sum() - np.trace(covariance)) / 20)
    assert output.profile[2] * output.second == pytest.approx(np.diag(covariance))
    back = result.back({(): Gradient(1.0, along)})[0]
    assert back is not None
    covariance = matrix.T @ (np.full((5, 5), along) + (1 - along) * np.eye(5)) @ matrix
    assert back.energy == pytest.approx(np.trace(covariance) / 8)
    assert back.along == pytest.approx((covariance.sum() - np.trace(covariance)) / 56)
