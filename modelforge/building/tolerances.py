"""check: the promise of a fill and its measured values → a verdict.

A sound parameter fails with a probability below 1e-8, whatever its size. A spoiled one is found as soon as its size
permits: a value out of bounds always; another law, another scale or equal rows from tens to thousands of values on.
Third and fourth moments are taken of some blocks of a long parameter (`seen.every`), and rows of some of each chunk;
their bounds follow from the number of those. Sums, extremes and checksums are of all values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from math import exp, isfinite, lgamma, log, sqrt
from operator import add
from typing import Literal

import torch

from modelforge.building.tally import Rows, Tally
from modelforge.inits.fills import MAX_SLANT, Moments
from modelforge.inits.laws.law import Distribution
from modelforge.inits.laws.seen import Sums
from modelforge.inits.laws.tails import LOG_ODDS, Limits, impossible, limits, same_value, several

Verdict = Literal["pass", "fail", "unpromised"]

_FEW_ODDS = 20.0
"""Odds of each bound where only mean and std are promised: then there are four bounds in all."""
_ORDINALS = ("mean", "mean square", "third moment", "fourth moment")

NOT_FINITE = "values that are not finite"
"""Why a verdict is `fail`."""


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on the values of one fill."""

    verdict: Verdict
    mean_tolerance: float | None = None
    std_tolerance: float | None = None
    reason: str = ""
    """Why the verdict is `fail`, in words; else empty."""


def check(tallies: Sequence[Tally], dtype: torch.dtype) -> Check:
    """Compares the values of one fill with its promise, up to the rounding of the dtype."""
    tally = reduce(add, tallies)
    sums, promise = tally.sums, tally.fill.promise if tally.fill is not None else None
    if promise is None or promise.mean is None or promise.std is None:
        return Check("unpromised")
    if sums.count == 0:
        return Check("pass")
    rounding = _rounding(dtype)
    smallest = _subnormal(dtype)
    error = rounding * (abs(promise.mean) + promise.std) + smallest
    off, square = sums.first / sums.count, sums.second / sums.count
    low, high, least, most = _tolerances(promise, sums.count)
    reasons = _reasons(tally, promise, rounding, smallest)
    if not (isfinite(off) and isfinite(square)):
        reason = NOT_FINITE
    elif not low * promise.std - error <= off <= high * promise.std + error:
        reason = f"a mean of {off + promise.mean:.4g}"
    elif not least * promise.std - error <= sqrt(max(square, 0.0)) <= most * promise.std + error:
        reason = f"a std of {sqrt(max(square, 0.0)):.4g}"
    else:
        reason = next(reasons, "")
    mean_tolerance = promise.std * max(-low, high) + error
    std_tolerance = promise.std * (most - 1) + error
    return Check("fail" if reason else "pass", mean_tolerance, std_tolerance, reason)


def _rounding(dtype: torch.dtype) -> float:
    # Values are drawn in float32 at least as finely as they are stored.
    return 2 * max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps) if dtype.is_floating_point else 0.0


def _subnormal(dtype: torch.dtype) -> float:
    """The least positive number of a type: small values are rounded to its multiples."""
    if not dtype.is_floating_point:
        return 0.0
    known = torch.finfo(dtype)
    return known.smallest_normal * known.eps


def _tolerances(promise: Moments, count: int) -> tuple[float, float, float, float]:
    """Least and greatest mean about the target, and root mean square, in units of the std."""
    drawn = max(count / promise.copies, 1.0)
    if promise.law is not None:
        known = limits(promise.law, int(drawn))
        return known.low[0], known.high[0], sqrt(max(known.low[1], 0.0)), sqrt(known.high[1])
    # Gaussian and χ² tails (Laurent and Massart 2000, lemma 1), widened by the kurtosis.
    mean = sqrt(2 * _FEW_ODDS / drawn)
    if promise.exact_std:
        return -mean, mean, sqrt(1 - 1e-4), sqrt(1 + 1e-4)
    spread = sqrt((promise.kurtosis - 1) / 2) * 2 * sqrt(_FEW_ODDS / drawn) + promise.kurtosis * _FEW_ODDS / drawn
    return -mean, mean, sqrt(max(1 - spread, _least(drawn, promise.kurtosis))), sqrt(1 + spread)


def _least(count: float, kurtosis: float) -> float:
    """A lower bound of a sample's variance, in units of the law's: for few values `1 - spread` is none.

    Chernoff's bound for χ² with n degrees of freedom: P(χ² <= t·n) <= (t·exp(1 - t))^(n/2), solved for t from below.
    """
    rate = 2 * _FEW_ODDS / (count * 2 / max(kurtosis - 1, 2.0))
    ratio = 0.0
    for _ in range(50):
        ratio = exp(ratio - 1 - rate)
    return ratio


def _reasons(tally: Tally, promise: Moments, rounding: float, smallest: float) -> Iterator[str]:
    """Further properties that a sound fill does not have."""
    assert promise.mean is not None, "it promises"
    assert promise.std is not None, "it promises"
    law, sums, rows = promise.law, tally.sums, tally.rows
    if rows.strays:
        yield f"{rows.strays} values that are not those of its formula"
    if promise.std == 0:
        error = rounding * abs(promise.mean) + smallest
        for value in (sums.least, sums.greatest):
            if not abs(value - promise.mean) <= error:
                yield f"a value of {value:.6g}"
    if law is not None:
        error = rounding * max(abs(sums.least), abs(sums.greatest), promise.std, 1e-3 * abs(promise.mean)) + smallest
        if found := impossible(law, sums.count / promise.copies, sums.least, sums.greatest, error):
            yield found
        if (coarse := rounding * (abs(promise.mean) + promise.std) / promise.std) <= 0.1:
            yield from _moments(sums, limits(law, max(int(sums.sampled / promise.copies), 1)), coarse)
        yield from _norms(rows, law)
        if promise.distinct_rows and rows.equal and _too_many(rows, same_value(law)):
            yield f"{rows.equal} of {rows.compared} rows that equal another one"
    if promise.isometry is not None and rows.count and not rows.slant <= MAX_SLANT:
        yield f"a matrix that is not orthogonal: off by {rows.slant:.2g} of a vector's length"


def _moments(sums: Sums, known: Limits, coarse: float) -> Iterator[str]:
    """Wrong third and fourth moments; `coarse` is the rounding in units of the std."""
    for index, total in enumerate((sums.third, sums.fourth) if sums.sampled else (), start=2):
        low, high = known.low[index], known.high[index]
        slack = 4 * coarse * (max(abs(low), abs(high)) + 1)
        value = total / sums.sampled
        if not low - slack <= value <= high + slack:
            yield f"a {_ORDINALS[index]} of {value:.4g}, in units of its std"


def _norms(rows: Rows, law: Distribution) -> Iterator[str]:
    """Rows with a wrong norm; each row is a sample of its own."""
    if not rows.count or rows.least > rows.greatest:
        return
    # The next power of two, so that few limits are ever computed.
    number = 1 << (rows.count - 1).bit_length()
    known = limits(law, rows.width, several(LOG_ODDS, number))
    for value in (rows.least, rows.greatest):
        if not 0.999 * known.low[1] <= value <= 1.001 * known.high[1]:
            yield f"a row with a root mean square of {sqrt(value):.4g} std"


def _too_many(rows: Rows, same: float) -> bool:
    """Whether so many equal rows are no coincidence: P(t of them) <= (n²·p^width)^t / t!."""
    each = 2 * log(rows.compared) + rows.width * log(same)
    return rows.equal * each - lgamma(rows.equal + 1) < -LOG_ODDS
