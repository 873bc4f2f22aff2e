"""Search: results so far → the gain to try next: coarse, then fine, then with more seeds, within a budget of trainings.

Gains lie on a ladder about the one that the config has, a rung is a factor of ⁴√2. The search begins at `start`, takes
steps of 4 rungs until the best gain lies between two others, and then smaller ones. The first seed alone says which
gain is the best one, so that what the other seeds say of it is evidence.
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
        num_seeds: How many seeds the best gain and that of the config are tried with.
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
        """The rung with the best result of the first seed, of those that diverged with none; None where all did."""
        return next(iter(self._ranked(self.results)), None)

    def with_result(self, trial: Trial, result: float | None) -> Search:
        """The search with one more result."""
        finite = result if result is not None and math.isfinite(result) else None
        results = {**self.results, trial.rung: {**self.results.get(trial.rung, {}), trial.seed: finite}}
        return replace(self, results=results)

    def next(self) -> Trial | None:
        """The next training; None where the budget is spent or nothing is left to try."""
        if self.num_tried >= self.budget:
            return None
        for first in (self.start, 0):
            if first not in self.results:
                return Trial(first, 0)
        rung = self._next_rung()
        confirmed = [0, *self._ranked(self.results)[:1]]
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
        for step in STEPS:
            ranked = self._ranked([rung for rung in self.results if (rung - self.start) % step == 0])
            # Where all diverged, smaller gains are the way out.
            around = [ranked[0] + step, ranked[0] - step] if ranked else [min(min(self.results), self.start) - step]
            for rung in around:
                if rung not in self.results and abs(rung - self.start) <= MOST:
                    return rung
        return None

    def _ranked(self, rungs: Iterable[int]) -> list[int]:
        """Rungs without a diverged training, those that are best with the first seed first."""
        whole = [rung for rung in rungs if self.mean(rung) is not None]
        firsts = {rung: first for rung in whole if (first := self.results[rung][0]) is not None}
        sign = -1 if self.higher_is_better else 1
        return sorted(firsts, key=lambda rung: (sign * firsts[rung], abs(rung)))
