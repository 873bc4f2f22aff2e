"""Gradients of parts, and what a norm of groups divides by."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.signal.elements import Elements, Part, side_by_side
from modelforge.signal.laws import part_of
from modelforge.signal.value import Gradient


def test_parts_share_the_energy_of_the_whole_along_its_profile():
    whole = Gradient(2.0, profile={1: np.array([0.5, 0.5, 1.0, 2.0])})
    first, second = part_of(whole, 1, 0, 2), part_of(whole, 1, 2, 2)
    assert (first.energy, second.energy) == (1.0, 3.0)
    assert not first.profile
    assert second.profile[1] == pytest.approx([2 / 3, 4 / 3])


def test_units_side_by_side_keep_their_variances():
    made = side_by_side([Part(1, 1.0, 0.5, None), Part(3, 5.0, 0.1, Elements("what is not normal"))], lean=0.8)
    assert made is not None
    assert made.bent == "what is not normal"
    assert made.apart
    assert made.variances == pytest.approx([0.25, 1.25, 1.25, 1.25])
    assert made.by_group(2) == pytest.approx([0.75, 0.75, 1.25, 1.25])
    assert made.lean == pytest.approx(0.2)
    assert side_by_side([Part(2, 1.0, 0.5, None), Part(2, 1.0, 0.5, None)], lean=0.5) is None
