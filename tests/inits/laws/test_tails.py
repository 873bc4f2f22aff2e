"""Tails: how far sums over a sound sample may lie off, against exact laws, and what is no law."""

from __future__ import annotations

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
