"""Steps that stay the same, and gradients of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.signal.cells import Gate, Long, Plain
from modelforge.signal.steps import run, run_back


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
    sent, alike = run_back(cell, run(cell, np.ones(4)), np.array([0.0, 0.0, 0.0, 1.0]))
    assert sent == pytest.approx([0.25**3, 0.25**2, 0.25, 1.0])
    assert alike.covariance == 0, "nothing is kept of a state"


@pytest.mark.parametrize(("forget", "expected"), [(30.0, 1.0), (-30.0, 0.0)])
def test_what_a_cell_keeps_of_its_state_it_sends_to_all_steps(forget, expected):
    """Through a gate that is open, the gradient of the last step reaches all; through a closed one, none."""
    cell = Long([gate(30.0), gate(forget), gate(), gate(30.0)])
    _, alike = run_back(cell, run(cell, np.full(6, 1e-9)), np.array([0.0] * 5 + [1.0]))
    assert alike.covariance == pytest.approx(expected, abs=0.01)
