"""Moments of gates, and steps that stay the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modelforge.core.matrix import Activation
from modelforge.signal.cells import Gate, Long, Plain, moments, run, run_back
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


def gate(bias=0.0):
    return Gate(0.5, 0.5, 0.5, 0.5, bias, 0.0, 0.0)


def test_steps_are_computed_until_nothing_changes():
    cell = Long([gate(), gate(1.0), gate(), gate()])
    steps = run(cell, np.ones(500))
    assert steps[-1] is steps[-2]
    assert steps[1] is not steps[0]
    state = (0.0, 0.0, 0.0)
    for step in steps:
        state = cell.step(1.0, state).made
        assert state == pytest.approx(step.made, rel=1e-9)


def test_gradients_of_a_linear_range_shrink_by_the_recurrent_weights():
    cell = Plain([Gate(1e-12, 0.25, 1.0, 0.25, 0.0, 0.0, 0.0)], "tanh")
    sent = run_back(cell, run(cell, np.ones(4)), np.array([0.0, 0.0, 0.0, 1.0]))
    assert sent == pytest.approx([0.25**3, 0.25**2, 0.25, 1.0])
