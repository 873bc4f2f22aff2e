"""Quadrature: against closed forms, at kinks and steps anywhere, for variances large and small."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelforge.inits.gains.quadrature import expectations


def above(x: float) -> float:
    return math.erfc(x / math.sqrt(2)) / 2


@pytest.mark.parametrize("variance", [1e-6, 0.02592, 0.3, 1.0, 7.3, 1e4])
def test_moments_of_the_normal_law(variance: float):
    powers = np.arange(9)[:, None]
    found = expectations(lambda x: x**powers, variance)
    sigma = math.sqrt(variance)
    odd = [0.0] * 4
    even = [1.0, sigma**2, 3 * sigma**4, 15 * sigma**6, 105 * sigma**8]
    assert found[::2] == pytest.approx(even, rel=1e-12)
    assert found[1::2] / sigma ** np.array([1, 3, 5, 7]) == pytest.approx(odd, abs=1e-12)


@pytest.mark.parametrize("variance", [0.02592, 1.0, 7.3])
@pytest.mark.parametrize("end", [0.0, 1e-3, 0.123, 0.5, 3.2, 6.0])
def test_kinks_and_steps_anywhere(end: float, variance: float):
    """P(x > a) = 1 - Φ(a/σ), E max(x - a, 0) = σφ(a/σ) - a(1 - Φ(a/σ))."""
    sigma = math.sqrt(variance)
    z = end / sigma
    ramp = sigma * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) - end * above(z)
    found = expectations(lambda x: np.stack([x > end, np.maximum(x - end, 0)]), variance)
    assert found[0] == pytest.approx(above(z), rel=1e-8, abs=1e-12)
    assert found[1] == pytest.approx(ramp, rel=1e-8, abs=1e-12)


def test_functions_do_not_disturb_each_other():
    """What is not a number, or infinite, stays where it is."""
    found = expectations(lambda x: np.stack([np.full_like(x, np.nan), x**2, np.full_like(x, np.inf)]))
    assert math.isnan(found[0])
    assert found[1] == pytest.approx(1.0, rel=1e-12)
    assert found[2] == math.inf


def test_what_does_not_die_out_is_infinite():
    """E exp(x²/2) diverges, E exp(x²/4) = √2."""
    found = expectations(lambda x: np.exp(np.stack([x**2 / 2, x**2 / 4])))
    assert found[0] == math.inf
    assert found[1] == pytest.approx(math.sqrt(2), rel=1e-9)


def test_smooth_functions_are_cheap():
    asked = 0

    def square(x: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += len(x)
        return x[None] ** 2

    expectations(square)
    assert asked < 60_000
