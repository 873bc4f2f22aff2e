"""Search: results so far → the gain to try next: coarse, then fine, then with more seeds, within a budget of trainings.

Gains lie on a ladder about the one that the config has, a rung is a factor of ⁴√2. The search begins at `start`, takes
steps of 4 rungs until the best gain lies between two others, and then smaller ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

STEPS = (4, 2, 1)
"""Rungs between neighbours, coarse to fine; a rung is a factor of ⁴√2."""
RUNGS = 4
"""Rungs in a factor of 2."""
MOST = 8 * RUNGS
"""Rungs from the start at most: a factor of 256."""
NUM_CONFIRMED = 2
"""The best gains that are tried with all seeds, beside that of the config."""


@dataclass(frozen=True)
class Trial:
    """One training that is asked for."""

    rung: int
    """The gain, in rungs from that of the config."""
    seed: int
    """The number of the seed: 0 is the first."""


@dataclass(frozen=True)
class Search:
    """What was tried, and what came of it.

    Args:
        num_seeds: How many seeds a gain that counts is tried with.
        budget: The trainings, at most.
        start: The rung that the search begins at. The gain of the config, rung 0, is tried in any case.
        higher_is_better: Whether a larger result is a better one.
        results: For each rung the results by number of the seed; None where the training diverged or failed.

    Example:
        >>> search = Search(num_seeds=1, budget=9)
        >>> while (trial := search.next()) is not None:
        ...     search = search.with_result(trial, -abs(trial.rung - 3))
        >>> search.best, search.num_tried
        (3, 6)
    """

    num_seeds: int = 3
    budget: int = 16
    start: int = 0
    higher_is_better: bool = True
    results: Mapping[int, Mapping[int, float | None]] = field(default_factory=dict[int, "Mapping[int, float | None]"])

    @property
    def num_tried(self) -> int:
        """Trainings so far."""
        return sum(map(len, self.results.values()))

    @property
    def best(self) -> int | None:
        """The rung with the best result: of those tried with all seeds, if there are any; None where all diverged."""
        whole = [rung for rung in self.results if len(self.results[rung]) == self.num_seeds]
        ranked = self._ranked(whole) or self._ranked(self.results)
        return ranked[0] if ranked else None

    def with_result(self, trial: Trial, result: float | None) -> Search:
        """The search with one more result."""
        finite = result if result is not None and math.isfinite(result) else None
        results = {**self.results, trial.rung: {**self.results.get(trial.rung, {}), trial.seed: finite}}
        return replace(self, results=results)

    def next(self) -> Trial | None:
        """The next training; None where the budget is spent or nothing is left to try."""
        if self.num_tried >= self.budget:
            return None
        rung = self._next_rung()
        confirmed = [0, *self._ranked(self.results)[:NUM_CONFIRMED]]
        missing = [
            Trial(one, seed)
            for seed in range(1, self.num_seeds)
            for one in dict.fromkeys(confirmed)
            if seed not in self.results.get(one, {})
        ]
        if rung is None or (missing and self.num_tried + len(missing) >= self.budget):
            return missing[0] if missing else None
        return Trial(rung, 0)

    def mean(self, rung: int) -> float | None:
        """The mean over seeds; None where one of them diverged."""
        values = [*self.results[rung].values()]
        known = [value for value in values if value is not None]
        return fmean(known) if len(known) == len(values) else None

    def spread(self, rung: int) -> float | None:
        """The standard deviation over seeds; None where there are fewer than two results."""
        known = [value for value in self.results[rung].values() if value is not None]
        return stdev(known) if len(known) > 1 else None

    def _next_rung(self) -> int | None:
        """The next gain to try with the first seed."""
        for rung in (self.start, 0):
            if rung not in self.results:
                return rung
        for step in STEPS:
            ranked = self._ranked([rung for rung in self.results if (rung - self.start) % step == 0])
            # Where all diverged, smaller gains are the way out.
            around = [ranked[0] + step, ranked[0] - step] if ranked else [min(min(self.results), self.start) - step]
            for rung in around:
                if rung not in self.results and abs(rung - self.start) <= MOST:
                    return rung
        return None

    def _ranked(self, rungs: Iterable[int]) -> list[int]:
        """Rungs without a diverged training, best first."""
        means = {rung: mean for rung in rungs if (mean := self.mean(rung)) is not None}
        sign = -1 if self.higher_is_better else 1
        return sorted(means, key=lambda rung: (sign * means[rung], abs(rung)))
