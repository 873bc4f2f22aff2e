"""Moments of gates."""

from __future__ import annotations

import pytest
import torch

from modelforge.core.matrix import Activation
from modelforge.signal.cells import moments
from modelforge.signal.moments import single

FUNCTIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1e-6), (1.0, 1.0), (-2.0, 30.0)])
def test_moments_are_those_of_quadrature(kind, mean, variance):
    exact = single(Activation(kind, FUNCTIONS[kind]), mean, variance)
    (found,) = moments((kind,), (mean,), (variance,))
    assert [found.mean, found.second, found.slope_second] == pytest.approx(
        [exact.mean, exact.second, exact.slope_second], rel=1e-6, abs=1e-12
    )
