"""Moments of activations, against closed forms."""

from __future__ import annotations

from dataclasses import astuple
from math import acos, asin, pi, sqrt

import pytest
import torch

from modelforge.inits import find_activation
from modelforge.signal.moments import _pair, _single, held_variance, homogeneous, pair, single  # pyright: ignore[reportPrivateUsage]  # without a unit


@pytest.mark.parametrize("variance", [1e-6, 1.0, 400.0])
def test_one_number_after_relu(variance):
    found = single(find_activation("ReLU"), 0.0, variance)
    assert found.mean == pytest.approx(sqrt(variance / (2 * pi)), rel=1e-8)
    assert found.second == pytest.approx(variance / 2, rel=1e-8)
    assert found.fourth == pytest.approx(1.5 * variance**2, rel=1e-8)
    assert (found.slope_second, found.slope_fourth) == pytest.approx((0.5, 0.5), rel=1e-8)
    assert found.growth == pytest.approx(0.5, rel=1e-6)


def test_a_mean_shifts_the_numbers():
    found = single(find_activation("ReLU"), 3.0, 1e-4)
    assert (found.mean, found.second) == pytest.approx((3.0, 9.0001), rel=1e-6)


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "ReLU6", "Hardshrink", "Tanh"])
@pytest.mark.parametrize(("mean", "variance", "lean"), [(0.0, 100.0, 0.0), (-3.0, 25.0, 0.2), (1e-3, 1e-5, 0.0)])
def test_numbers_of_any_scale(name, mean, variance, lean):
    """Functions that have no scale are computed once for all variances: with the moments that each would have."""
    activation = find_activation(name)
    one, two = single(activation, mean, variance, lean), pair(activation, mean, variance, 0.3)
    alone = _single(activation.function, mean, variance, lean), _pair(activation.function, mean, variance, 0.3)
    assert astuple(one) == pytest.approx(astuple(alone[0]), rel=1e-8, abs=1e-15)
    assert astuple(two) == pytest.approx(astuple(alone[1]), rel=1e-8, abs=1e-15)


def test_no_variance_leaves_one_value():
    found = single(find_activation("ReLU"), 2.0, 0.0)
    assert (found.mean, found.second, found.slope_second) == (2.0, 4.0, 1.0)


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 0.99, 1.0])
def test_two_numbers_after_relu(correlation):
    """The arc-cosine kernel of degree 1, and of degree 0 for slopes (Cho and Saul 2009)."""
    found = pair(find_activation("ReLU"), 0.0, 2.0, correlation)
    angle = acos(correlation)
    product = 2.0 / (2 * pi) * (sqrt(1 - correlation**2) + (pi - angle) * correlation)
    assert found.product == pytest.approx(product, rel=2e-3, abs=1e-3)
    assert found.slope_product == pytest.approx((pi - angle) / (2 * pi), abs=1e-2)


def test_two_numbers_after_erf():
    """Williams 1997: E erf(u) erf(v) = (2/π) asin(2qc/(1 + 2q))."""
    found = pair(find_activation("erf"), 0.0, 1.0, 0.6)
    assert found.product == pytest.approx(2 / pi * asin(1.2 / 3), rel=1e-6)


@pytest.mark.parametrize("name", ["ReLU", "GELU", "Tanh"])
def test_the_variance_after_an_activation_of_numbers_whose_variance_is_held(name):
    """Of 64 numbers with mean 0 and variance 1, as a batch norm makes them."""
    activation = find_activation(name)
    draws = torch.randn(20_000, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    draws = (draws - draws.mean(1, keepdim=True)) / draws.std(1, correction=0, keepdim=True)
    found = activation.function(draws).var(1, correction=0)
    assert held_variance(activation, 0.0, 1.0) / 64 == pytest.approx(float(found.var() / found.mean() ** 2), rel=0.1)


def test_relu_is_homogeneous_and_tanh_is_not():
    assert homogeneous(find_activation("ReLU"), 0.0, 1.0) == pytest.approx(1.0, abs=1e-6)
    assert homogeneous(find_activation("Tanh"), 0.0, 4.0) < 0.9
