"""`contrasts`: each group against a baseline, by a t-test over seeds, corrected for the number of tests (Holm)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import sqrt
from statistics import fmean, stdev, variance

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.suggestions import did_you_mean
from modelforge.results.grouping import Group, Grouped, spread

FEW = 5
"""Seeds below which a test sees large differences alone."""
LEVEL = 0.05
ROUNDING = 2.0**-22
"""The relative error of a metric in float32, of which seeds that differ by the same amount have different ones."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """One group beside its baseline."""

    group: Group
    baseline: Group | None
    """None where there is none to compare with, or the group is one itself."""
    difference: float | None = None
    """The group's mean less that of the baseline."""
    within: bool = False
    """Whether the difference is below the spread over seeds."""
    test: str = ""
    """`paired` over equal seeds, or `Welch`; empty where there is no test."""
    p: float | None = None
    """Of no difference, two-sided."""
    adjusted: float | None = None
    """The same, corrected by Holm's method for `num_tests`."""
    num_tests: int = 0
    """Comparisons that chance had: those with a baseline that was named; where it is the best group, which was found in
    the same runs, those of all pairs."""

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.adjusted is not None and self.adjusted < LEVEL


def contrasts(grouped: Grouped, wanted: Sequence[str] = ()) -> tuple[Contrast, ...]:
    """All groups against a baseline.

    Args:
        grouped: The groups.
        wanted: Values that the baseline has, such as `init=torch`: a group is compared with that one which is otherwise
            like itself, else with the best of them. Empty for the best group of all.

    Raises:
        ForgeError: no group has these values.
    """
    asked = dict(_parsed(word) for word in wanted)
    references = _references(grouped, asked)
    found = [_contrast(one, _baseline(one, references, asked)) for one in grouped.groups]
    num_tests = sum(one.p is not None for one in found)
    return tuple(_corrected(found, num_tests if asked else num_tests * (num_tests + 1) // 2))


def _parsed(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals:
        raise ForgeError([Problem("MF080", "--baseline", f"`{word}` sets no value", "write `KEY=VALUE`: `init=torch`")])
    return key.lstrip("+"), value


def _references(grouped: Grouped, asked: Mapping[str, str]) -> Sequence[Group]:
    """The groups that have the values that were asked for, best first."""
    if not asked:
        return [] if grouped.best is None else [grouped.best]
    for key, value in asked.items():
        values = [*dict.fromkeys(one.values.get(key, "") for one in grouped.groups)]
        if key not in grouped.keys:
            message = f"no two groups of jobs differ in `{key}`"
            raise ForgeError([Problem("MF080", "--baseline", message, did_you_mean(key, grouped.keys))])
        if value not in values:
            message = f"no job has `{key}={value}`"
            raise ForgeError([Problem("MF080", "--baseline", message, did_you_mean(value, values))])
    found = [one for one in grouped.groups if asked.items() <= one.values.items()]
    if not found:
        message = f"no job has all of {', '.join(f'`{key}={value}`' for key, value in asked.items())}"
        raise ForgeError([Problem("MF080", "--baseline", message, "leave one of them out")])
    return found


def _baseline(group: Group, references: Sequence[Group], asked: Mapping[str, str]) -> Group | None:
    if any(group is one for one in references):
        return None
    others = {key: value for key, value in group.values.items() if key not in asked}
    alike = [one for one in references if others.items() <= one.values.items()]
    return next(iter(alike or references), None)


def _contrast(group: Group, baseline: Group | None) -> Contrast:
    if baseline is None or group.mean is None or baseline.mean is None or group.metric != baseline.metric:
        return Contrast(group, baseline)
    difference = group.mean - baseline.mean
    scale = spread(group, baseline)
    test, p = t_test(group.results, baseline.results)
    return Contrast(group, baseline, difference, scale is not None and abs(difference) <= scale, test, p)


def t_test(first: Mapping[str, float], second: Mapping[str, float]) -> tuple[str, float | None]:
    """The name of a test of equal means and its two-sided p: paired over equal seeds, else Welch's.

    Where what seeds differ by is no more than the rounding of a metric, there is no test: p is 1 where the means differ
    by no more than that either, else None.

    Formula: t = mean d / (s_d/√n), n - 1 degrees; or Δ/√(s₁²/n₁ + s₂²/n₂), Welch–Satterthwaite degrees
    Source: Student 1908, doi:10.2307/2331554; Welch 1947, doi:10.2307/2332510

    Example:
        >>> name, p = t_test({"0": 1.0, "1": 2.0, "2": 3.5}, {"0": 0.5, "1": 1.0, "2": 2.0})
        >>> name, round(p, 4)
        ('paired', 0.0742)
    """
    if len(first) < 2 or len(second) < 2:
        return "", None
    least = ROUNDING * max(map(abs, (*first.values(), *second.values())))
    if first.keys() == second.keys():
        gaps = [first[seed] - second[seed] for seed in first]
        return "paired", _two_sided(fmean(gaps), stdev(gaps) / sqrt(len(gaps)), len(gaps) - 1, least)
    shares = [variance(one.values()) / len(one) for one in (first, second)]
    total = sum(shares)
    weights = sum(share**2 / (len(one) - 1) for share, one in zip(shares, (first, second), strict=True))
    gap = fmean(first.values()) - fmean(second.values())
    return "Welch", _two_sided(gap, sqrt(total), total**2 / weights if weights else 1.0, least)


def _two_sided(gap: float, error: float, degrees: float, least: float) -> float | None:
    """Student's p; None where scipy is not installed, or no repetition differs from another by more than `least`."""
    if error <= least:
        return 1.0 if abs(gap) <= least else None
    if not can_test():
        return None
    from scipy.special import stdtr

    return float(2 * stdtr(degrees, -abs(gap / error)))


def can_test() -> bool:
    """Whether scipy is installed, which comes with the `train` extra."""
    return find_spec("scipy") is not None


def _corrected(compared: Sequence[Contrast], num_tests: int) -> list[Contrast]:
    """Holm 1979: the smallest p times the number of tests, the next times one less; none below the one before.

    What he rejects among all pairs holds at least what this does among those that have the best group.
    """
    tested = sorted((one.p, index) for index, one in enumerate(compared) if one.p is not None)
    adjusted: dict[int, float] = {}
    least = 0.0
    for rank, (p, index) in enumerate(tested):
        least = max(least, min(1.0, (num_tests - rank) * p))
        adjusted[index] = least
    return [replace(one, adjusted=adjusted.get(index), num_tests=num_tests) for index, one in enumerate(compared)]
