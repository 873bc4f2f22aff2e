"""ticks: round numbers between two ends."""

from __future__ import annotations

import pytest

from modelforge.report.ticks import ticks


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-9.3, 0.2), (1e-6, 2e-6), (-1e5, 3e5), (0, 0.07)])
def test_ticks_are_few_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-9 <= mark <= high + 1e-9 for mark in found)
