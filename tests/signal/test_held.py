"""What norms around an activation make of it: closed forms of ReLU."""

from __future__ import annotations

from math import pi, sqrt

import pytest
import torch

from modelforge.core.matrix import Activation
from modelforge.signal.held import loose_part
from modelforge.signal.moments import first_two, single, steep
from modelforge.signal.shape import Shape
from modelforge.signal.value import Signal

RELU = Activation("relu", torch.relu)
SHAPE = Shape((16, 32), 0, 1)


def test_slopes_count_where_energy_is():
    """φ² is 0 where φ′ is: E φ′²·φ² = E φ², which is twice E φ′²·E φ²."""
    assert steep(RELU, 0.0, 1.0, centred=False) == pytest.approx(1, abs=1e-3)


def test_the_first_two_coefficients():
    values, slopes = first_two(RELU, 0.0, 1.0)
    assert values == pytest.approx((2 / sqrt(2 * pi), 1 / sqrt(2)), abs=1e-3)  # E z³⁺, E z²⁺(z² - 1)/√2
    assert slopes == pytest.approx((1 / sqrt(2 * pi), 0.0), abs=1e-3)


@pytest.mark.parametrize(
    ("loose", "balanced", "left"),
    [(1.0, False, 1), (0.0, False, 0.6), (0.0, True, 0.6 - 0.8 * 2 / pi), (0.5, False, 0.8)],
)
def test_what_a_norm_leaves(loose, balanced, left):
    """Var φ² is 5/4, of which E x² explains 1/2, and E x another 2/π."""
    signal = Signal(SHAPE, 0.0, 1.0, 0.0, 0.0, loose=loose, balanced=balanced)
    assert loose_part(RELU, signal, single(RELU, 0.0, 1.0)) == pytest.approx(left, abs=2e-3)
