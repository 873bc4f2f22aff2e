"""One over a few squares, against draws."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.signal.inverse import inverse

DRAWS = 4000


@pytest.mark.parametrize(("freedom", "count", "eps"), [(1, 16, 0.0), (2, 96, 1e-3), (5, 16, 0.0), (80, 16, 0.0)])
def test_against_draws(freedom, count, eps):
    found = inverse(freedom, count, eps)
    variances = np.random.default_rng(0).gamma(freedom / 2, 2 / freedom, size=(DRAWS, count))
    logs = np.log((1 / (variances + eps)).mean(axis=1))
    assert np.log(found.factor) - found.noise / 2 == pytest.approx(logs.mean(), abs=4 * logs.std() / DRAWS**0.5)


def test_many_degrees_of_freedom():
    assert inverse(1000.0, 1e6).factor == pytest.approx(1000 / 998)
