"""Tails: how far sums over a sound sample may lie off, against exact laws, and what is not a law."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from modelforge import inits
from modelforge.inits.laws import tails


def test_the_limits_are_those_of_exact_laws():
    """Of n normal values, the sum of squares is χ²."""
    from scipy import stats

    law = inits.Normal(0.0, 1.0)
    for count in (100, 1000, 100_000):
        known = tails.limits(law, count)
        for bound, tail in ((known.high[1], stats.chi2.logsf), (known.low[1], stats.chi2.logcdf)):
            # Chernoff's bound is above the probability, and by little.
            assert -tails.LOG_ODDS - 6 < tail(bound * count, count) < -tails.LOG_ODDS


def test_limits_narrow_with_the_root_of_the_count():
    """Of a mean, the normal tail: ± sqrt(2 · odds / n)."""
    law = inits.Normal(3.0, 0.5)
    for count in (1000, 100_000):
        known = tails.limits(law, count)
        assert known.high[0] == pytest.approx((2 * tails.LOG_ODDS / count) ** 0.5, rel=0.03)
        assert known.low[0] == pytest.approx(-known.high[0], rel=0.01)


@pytest.mark.parametrize(
    ("least", "greatest", "found"),
    [
        (-0.999, 0.999, ""),
        (-1.5, 0.999, "a value of -1.5"),
        (-0.999, 1.5, "a value of 1.5"),
        (-0.5, 0.999, "no value below -0.5"),
        (-0.999, 0.5, "no value above 0.5"),
    ],
)
def test_extremes_that_no_sound_sample_has_are_named(least: float, greatest: float, found: str):
    """Of 1000 uniform values, none beyond the bounds, and some in each quarter but with a probability of 0.75^1000."""
    assert tails.impossible(inits.Uniform(-1.0, 1.0), 1000, least, greatest, 1e-6) == found


def test_laws_of_the_library_are_laws():
    for law in (inits.Normal(1.0, 2.0), inits.Uniform(0.0, 3.0), inits.TruncatedNormal.with_std(0.0, 1.0)):
        assert tails.misfit(law) == ""


@dataclass(frozen=True)
class Wide:
    """A uniform law on [-1, 1] that states another std."""

    mean: float = 0.0
    std: float = 2.0
    kurtosis: float = 1.8
    bounds: tuple[float, float] = (-1.0, 1.0)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return np.clip((np.asarray(x) + 1) / 2, 0, 1)

    def draw_(self, out: object, key: object) -> None:
        """Draws nothing."""


def test_a_law_whose_distribution_has_other_moments_is_no_law():
    assert tails.misfit(Wide(std=3**-0.5)) == ""
    assert tails.misfit(Wide()).startswith("its law states mean 0 and std 2, but by its `cdf` it has mean 0 and std ")


@pytest.mark.parametrize(
    ("law", "says"),
    [
        (3, "its `law` gives 3, which is not a law: it has no `mean`, `std`"),
        (Wide(std=-1.0), "the `std` of its law must be a finite number, not below 0, but is -1.0"),
        (Wide(mean=float("nan")), "the `mean` of its law must be a finite number, but is nan"),
    ],
)
def test_what_is_no_law_says_what_it_lacks(law: object, says: str):
    assert tails.misfit(law).startswith(says)


def test_odds_for_several_samples_grow_with_the_log_of_their_number():
    assert tails.several(23.0, 1) == 23.0
    assert tails.several(23.0, 100) == pytest.approx(23 + math.log(100))
