"""One over a few squares, against draws."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.signal.inverse import Level, inverse, mean_share

DRAWS = 4000


@pytest.mark.parametrize(("freedom", "count", "eps"), [(1, 16, 0.0), (2, 96, 1e-3), (5, 16, 0.0), (80, 16, 0.0)])
def test_against_draws(freedom, count, eps):
    found = inverse(freedom, count, eps)
    variances = np.random.default_rng(0).gamma(freedom / 2, 2 / freedom, size=(DRAWS, count))
    logs = np.log((1 / (variances + eps)).mean(axis=1))
    assert np.log(found.factor) - found.noise / 2 == pytest.approx(logs.mean(), abs=4 * logs.std() / DRAWS**0.5)


def test_many_degrees_of_freedom():
    assert inverse(1000.0, 1e6).factor == pytest.approx(1000 / 998)


def test_cubes_against_draws():
    found = inverse(1, 16, 1e-3, 3)
    variances = np.random.default_rng(0).gamma(0.5, 2, size=(DRAWS, 16))
    logs = np.log(((variances + 1e-3) ** -3).mean(axis=1))
    assert np.log(found.factor) - found.noise / 2 == pytest.approx(logs.mean(), abs=4 * logs.std() / DRAWS**0.5)
    assert found.noise == pytest.approx(logs.var(), rel=0.1)


@pytest.mark.parametrize(("top", "bottom"), [(1e-2, 1e-6), (0.0, 1e-2)])
def test_levels_against_draws(top, bottom):
    found = Level(1, top, bottom, 64).mean
    variances = np.random.default_rng(0).gamma(0.5, 2, size=(DRAWS, 64))
    means = ((variances + top) / (variances + bottom)).mean(axis=1)
    assert np.log(found.factor) - found.noise / 2 == pytest.approx(np.log(means).mean(), abs=0.05)


@pytest.mark.parametrize("more", [0.1, 1.0, 9.0])
def test_levels_with_an_even_energy_added(more):
    """The same law in units of its own: the ratio of both is one number for all positions."""
    level, v = Level(2, 1e-3, 0.5, 4000), np.random.default_rng(0).gamma(1, 1, size=4000)
    given = (v + level.top) / (v + level.bottom)
    raised = level.raised(more)
    ratio = (given + more * given.mean()) / ((v + raised.top) / (v + raised.bottom))
    assert ratio.std() / ratio.mean() < 0.01


@pytest.mark.parametrize(("share", "freedom"), [(0.6, 3), (0.3, 8), (1.0, 3)])
def test_mean_shares_against_draws(share, freedom):
    own = share * np.random.default_rng(0).gamma(freedom / 2, 2 / freedom, size=200_000)
    shares = own / (own + 1 - share)
    assert mean_share(share, freedom) * share == pytest.approx(shares.mean(), abs=4 * shares.std() / 447 + 1e-5)
