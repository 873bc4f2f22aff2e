"""Which measured numbers confirm a claim."""

from __future__ import annotations

import math

import pytest

from modelforge.gallery.expectation import Expectation


def expectation(**numbers):
    return Expectation(quantity="result", of="he", reason="by hand", **numbers)


@pytest.mark.parametrize(
    ("numbers", "inside", "outside"),
    [
        ({"expected": 2.0, "tolerance": 0.5}, (1.5, 2.5), (1.4, 2.6, -2.0)),
        ({"expected": 2.0, "factor": 2.0}, (1.0, 4.0), (0.9, 4.1)),
        ({"expected": -2.0, "factor": 2.0}, (-1.0, -4.0), (-0.9, -4.1, 2.0)),
        ({"at_least": 0.5}, (0.5, math.inf), (0.4,)),
        ({"at_most": 0.5}, (0.5, -1.0), (0.6, math.inf)),
        ({"at_least": 0.0, "at_most": 1.0}, (0.0, 1.0), (-0.1, 1.1)),
    ],
    ids=str,
)
def test_bounds(numbers, inside, outside):
    low, high = expectation(**numbers).bounds()
    assert all(low <= value <= high for value in inside)
    assert not any(low <= value <= high for value in outside)


def test_spreads_are_of_the_logarithm():
    asked = expectation(expected=2.0, spreads=3)
    assert asked.bounds(0.5) == pytest.approx((2 / math.exp(1.5), 2 * math.exp(1.5)))
    assert asked.bounds(0.0) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"expected": 2.0, "tolerance": 0.5}, "2 ± 0.5"),
        ({"expected": 2e-9, "factor": 2.0}, "2e-09 ×÷ 2"),
        ({"expected": 2.0, "spreads": 3.0}, "2 within 3 spreads"),
        ({"at_least": 0.0, "at_most": 1.0}, "≥ 0 and ≤ 1"),
    ],
    ids=str,
)
def test_words(numbers, words):
    assert expectation(**numbers).due == words
