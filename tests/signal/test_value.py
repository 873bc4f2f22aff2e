"""What a signal knows of itself."""

from __future__ import annotations

import pytest

from modelforge.signal.shape import Shape
from modelforge.signal.value import Signal

SHAPE = Shape((8, 16, 5, 5), batch=0, units=1)


def test_sizes():
    assert (SHAPE.num_examples, SHAPE.num_units, SHAPE.num_positions) == (8, 16, 25)


def test_correlation_is_about_the_mean():
    signal = Signal(SHAPE, mean=1.0, second=3.0, along=2.0, across=1.0)
    assert (signal.correlation(signal.along), signal.correlation(signal.across)) == (0.5, 0.0)


def test_overlap_is_the_mean_over_pairs():
    signal = Signal(SHAPE, 0.0, 1.0, 0.0, 0.0)
    assert signal.overlap(1.0, 1.0, 1.0) == pytest.approx(1.0)
    assert signal.overlap(1.0, 0.0, 0.0) == pytest.approx(1 / 200)
    assert signal.overlap(1.0, 1.0, 0.0) == pytest.approx(1 / 8)


def test_a_number_times_a_signal():
    signal = Signal(SHAPE, mean=1.0, second=3.0, along=2.0, across=1.0).times(-2.0)
    assert (signal.mean, signal.second, signal.along, signal.across) == (-2.0, 12.0, 8.0, 4.0)
