"""Sums of gradients."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.signal.sums import mixed_profile, summed
from modelforge.signal.value import Gradient, Shape, Signal

SHAPE = Shape((8, 16, 5, 5), batch=0, units=1)


def test_gradients_add_up():
    profile = {2: np.array([5.0, 0, 0, 0, 0])}
    total = summed(
        [Gradient(1.0, 0.5, drift=0.04), Gradient(3.0, drift=0.04, profile=profile)], Signal(SHAPE, 0.0, 1.0, 0.0, 0.0)
    )
    assert (total.energy, total.along) == (4.0, 0.5)
    assert total.drift == pytest.approx(0.04), "drifts of one cause do not average out"
    assert total.profile[2].tolist() == [4.0, 0.25, 0.25, 0.25, 0.25]


def test_no_profile_where_all_is_alike():
    assert not mixed_profile([(1.0, {}), (2.0, {})], SHAPE.sizes)
