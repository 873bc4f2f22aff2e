"""GainReport: what a search for a gain found, with its evidence; prints as a table and one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.core.words import digits, plural
from modelforge.report.table import new_table, to_text
from modelforge.results.significance import LEVEL, t_test
from modelforge.signal.critical import Critical
from modelforge.sweeps.gain_search import RUNGS, Search


@dataclass(frozen=True)
class BaseGain:
    """The gain of the config."""

    number: float
    written: str
    """As an override gives it: all digits, or the name of an activation."""


@dataclass(frozen=True)
class GainRow:
    """One gain, and what came of its trainings."""

    rung: int
    gain: float
    results: tuple[float | None, ...]
    """By seed; None where the training diverged or failed."""
    mean: float | None
    spread: float | None
    """The standard deviation over seeds."""

    @property
    def num_broken(self) -> int:
        """Trainings that diverged or failed."""
        return sum(result is None for result in self.results)


@dataclass(frozen=True)
class Comparison:
    """A gain against that of the config, over the seeds that did not choose it: all but the first."""

    pairs: tuple[tuple[float, float], ...]
    """The metric of both, seed by seed; its sign is such that more is better."""

    @property
    def differences(self) -> tuple[float, ...]:
        """Of the metric, seed by seed; above 0 where the gain is better."""
        return tuple(mine - other for mine, other in self.pairs)

    @property
    def mean(self) -> float:
        """The mean difference."""
        return fmean(self.differences)

    @property
    def error(self) -> float | None:
        """The standard error of the mean; None for fewer than two seeds."""
        count = len(self.differences)
        return stdev(self.differences) / sqrt(count) if count > 1 else None

    @property
    def p(self) -> float | None:
        """How often gains that are equally good differ as much or more, in this direction, by a paired t-test; None for
        fewer than two seeds, and where no difference differs from another.
        """
        mine, other = ({str(seed): pair[side] for seed, pair in enumerate(self.pairs)} for side in (0, 1))
        _, p = t_test(mine, other)
        return None if p is None else p / 2 if self.mean > 0 else 1 - p / 2

    @property
    def is_better(self) -> bool:
        """Whether chance explains so much in one of 20 comparisons at most."""
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class GainReport:
    """What a search found."""

    key: str
    """The override key of the gain."""
    base: BaseGain
    metric: str
    search: Search
    critical: Critical | None
    folder: str
    """Of the trainings."""

    def gain(self, rung: int) -> float:
        """The gain of a rung."""
        return gain_of(self.base.number, rung)

    @property
    def rows(self) -> tuple[GainRow, ...]:
        """All gains that were tried, from the smallest."""
        return tuple(self._rows())

    @property
    def best(self) -> float | None:
        """The gain that is best with the first seed; None where nothing trained."""
        return None if self.search.best is None else self.gain(self.search.best)

    @property
    def comparison(self) -> Comparison | None:
        """The best gain against that of the config; None where they are one, or a training of either is missing."""
        best = self.search.best
        if best is None or best == 0:
            return None
        sign = 1 if self.search.higher_is_better else -1
        mine, other = self.search.results[best], self.search.results.get(0, {})
        shared = [seed for seed in sorted(mine.keys() & other.keys()) if seed > 0]
        every = [(mine[seed], other[seed]) for seed in shared]
        pairs = tuple((sign * a, sign * b) for a, b in every if a is not None and b is not None)
        return Comparison(pairs) if pairs and len(pairs) == len(every) else None

    @property
    def recommended(self) -> float | None:
        """The gain to use: the best one where it is better than that of the config beyond the spread of seeds, or where
        that one diverges; else that of the config; None where nothing trains.
        """
        return None if self._recommended is None else self.gain(self._recommended)

    @property
    def override(self) -> str | None:
        """The recommended gain as an override."""
        return None if self._recommended is None else f"{self.key}={written(self.base, self._recommended)}"

    def verdict(self) -> str:
        """The recommendation and its evidence, in one sentence or two."""
        if not self.search.results:
            return "nothing was tried: raise --minutes"
        if self.recommended is None:
            broken = f"{sum(row.num_broken for row in self.rows)} of {plural(self.search.num_tried, 'training')}"
            return f"no gain trains: {broken} diverged or failed"
        best, here = self._mean(self.search.best), self._mean(0)
        if 0 not in self.search.results:
            return f"keep {self.override}: that gain was not tried yet, raise --budget or --minutes"
        if [*self.search.results] == [0]:
            return f"keep {self.override} ({self.metric} {here}): no other gain was tried, raise --budget"
        if self.search.best == 0:
            return f"keep {self.override}: of the gains that were tried none is better ({self.metric} {here})"
        if self.search.mean(0) is None:
            own = next(row for row in self.rows if row.rung == 0)
            return f"use {self.override}: {self.metric} {best}; with {self.key}={self.base.written} {_broken(own)}"
        found = self.comparison
        firsts = " against ".join(self._first(rung) for rung in (self.search.best, 0))
        looks = f"keep {self.override}: {self.best:.4g} looks better with the first seed ({self.metric} {firsts}), but"
        if found is None or found.error is None:
            return f"{looks} too few seeds compare the two: raise --budget or --seeds"
        if found.p is None:
            return f"{looks} all seeds differ by {found.mean:.3g}: there is no spread to compare by"
        by = f"by {found.mean:.3g} ± {found.error:.2g} over the {len(found.differences)} seeds that did not choose it"
        by = f"{by} (p {found.p:.2g})"
        if found.is_better:
            return f"use {self.override}: {self.metric} {best} against {here} with {self.base.written}, better {by}"
        return f"keep {self.override}: {self.best:.4g} is not better beyond the spread of seeds: {by}"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        found = self.comparison
        return {
            "key": self.key,
            "metric": self.metric,
            "override": self.override,
            "recommended": self.recommended,
            "best": self.best,
            "config": self.base.number,
            "predicted": self.critical and {"gain": self.critical.gain, "drift": self.critical.drift},
            "comparison": found
            and {
                "mean": found.mean,
                "error": found.error,
                "p": found.p,
                "differences": list(found.differences),
            },
            "gains": [
                {"gain": row.gain, "mean": row.mean, "spread": row.spread, "results": list(row.results)}
                for row in self.rows
            ],
            "folder": self.folder,
        }

    def table(self) -> RenderableType:
        """The gains as a table for a terminal, and the verdict."""
        table = new_table()
        for name in (self.key, self.metric, "± seeds", "seeds"):
            table.add_column(name, justify="right")
        table.add_column("")
        for row in self.rows:
            mean = "" if row.mean is None else digits(row.mean)
            spread = "" if row.spread is None else f"{row.spread:.2g}"
            notes = ", ".join(self._notes(row))
            table.add_row(written(self.base, row.rung), mean, spread, str(len(row.results)), notes)
        return Group(table, Text(), Text(self.verdict()))

    def __str__(self) -> str:
        return to_text(self.table())

    @property
    def _recommended(self) -> int | None:
        """The rung of the gain to use."""
        if self.search.best is None or 0 not in self.search.results:
            return None if self.search.best is None else 0
        found = self.comparison
        return self.search.best if self.search.mean(0) is None or (found and found.is_better) else 0

    def _rows(self) -> Iterator[GainRow]:
        for rung in sorted(self.search.results):
            results = tuple(self.search.results[rung].values())
            yield GainRow(rung, self.gain(rung), results, self.search.mean(rung), self.search.spread(rung))

    def _notes(self, row: GainRow) -> Iterator[str]:
        if row.num_broken:
            yield _broken(row)
        if row.rung == 0:
            yield "the config's" if self.base.written[0].isdigit() else f"the config's, {self.base.number:.4g}"
        if row.rung == self.search.start and self.critical is not None:
            yield f"next to the predicted {self.critical.gain:.3g}"
        if row.rung == self.search.best:
            yield "best"

    def _first(self, rung: int | None) -> str:
        first = None if rung is None else self.search.results[rung][0]
        return "unknown" if first is None else digits(first)

    def _mean(self, rung: int | None) -> str:
        if rung is None or rung not in self.search.results:
            return "unknown"
        mean, spread = self.search.mean(rung), self.search.spread(rung)
        shown = "unknown" if mean is None else digits(mean)
        return shown if spread is None else f"{shown} ± {spread:.2g}"


def _broken(row: GainRow) -> str:
    return f"{row.num_broken} of {len(row.results)} diverged or failed"


def gain_of(base: float, rung: int) -> float:
    """The gain of a rung, to four digits; of rung 0, that of the config.

    Example:
        >>> [gain_of(1.0, rung) for rung in (-4, 0, 1, 4)]
        [0.5, 1.0, 1.189, 2.0]
    """
    return base if rung == 0 else float(f"{base * 2 ** (rung / RUNGS):.4g}")


def written(base: BaseGain, rung: int) -> str:
    """The gain of a rung as an override gives it: of rung 0, what the config says."""
    return base.written if rung == 0 else f"{gain_of(base.number, rung):.4g}"
