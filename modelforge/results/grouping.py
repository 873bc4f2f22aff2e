"""`group`: jobs that differ in some keys alone, such as the seed, as one: mean, spread, and what is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import fmean, stdev

from modelforge.core.frozen import FrozenDict
from modelforge.results.sweep import STATES, Row, Sweep

SEED = "seed"


@dataclass(frozen=True)
class Group:
    """Jobs that are repetitions of one another."""

    values: Mapping[str, str]
    """What was swept, but for the keys that are averaged over."""
    rows: tuple[Row, ...]
    metric: str
    results: Mapping[str, float]
    """The metric by what tells the repetitions apart: the seed, and the folder too of a second run of it."""
    expected: int
    """Repetitions that there should be."""
    num_copies: int = 0
    """Jobs that are copies of others, and no repetitions."""

    @property
    def n(self) -> int:
        """Jobs that the mean is over."""
        return len(self.results)

    @property
    def mean(self) -> float | None:
        """Mean of the metric; None where no job has it."""
        return fmean(self.results.values()) if self.results else None

    @property
    def std(self) -> float | None:
        """Standard deviation over the repetitions; None for fewer than two."""
        return stdev(self.results.values()) if self.n > 1 else None

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of jobs by state, in the order of `State`."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in sorted(found, key=STATES.__getitem__)}

    @property
    def is_whole(self) -> bool:
        """Whether the mean is over every repetition."""
        return self.n == self.expected

    @property
    def lacks(self) -> str:
        """What the mean leaves out, in words; empty where it is over all."""
        parts = [f"{number} {state}" for state, number in self.counts.items() if state != "finished"]
        if (unlisted := self.expected + self.num_copies - len(self.rows)) > 0:
            parts.append(f"{unlisted} not listed")
        silent = self.counts.get("finished", 0) - self.n - self.num_copies
        return ", ".join([*parts, *([f"{silent} without {self.metric}"] if silent > 0 else [])])


@dataclass(frozen=True)
class Grouped:
    """A sweep in groups, best first."""

    sweep: Sweep
    over: tuple[str, ...]
    """The keys that are averaged over."""
    keys: tuple[str, ...]
    """Those that tell groups apart."""
    groups: tuple[Group, ...]

    @property
    def best(self) -> Group | None:
        """The first group whose mean is over all repetitions, else the first that has a mean."""
        known = [one for one in self.groups if one.mean is not None]
        return next((one for one in known if one.is_whole), known[0] if known else None)

    @property
    def sign(self) -> int:
        """1 where less of the metric is better, else -1."""
        return 1 if self.sweep.lower_is_better else -1


def group(sweep: Sweep, over: Collection[str] = (SEED,)) -> Grouped:
    """Puts jobs together that differ in some keys alone.

    Args:
        sweep: The jobs.
        over: Keys to average over.
    """
    averaged = tuple(key for key in dict.fromkeys(over))
    keys = tuple(key for key in sweep.keys if key not in averaged)
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in sweep.rows:
        if row.overrides or row.state not in ("missing", "broken"):
            found.setdefault(tuple(row.overrides.get(key, "") for key in keys), []).append(row)
    expected = len({_repetition(row, averaged) for row in sweep.rows if row.overrides}) if averaged else 1
    groups = [_group(sweep, keys, averaged, rows, expected) for rows in found.values()]
    sign = 1 if sweep.lower_is_better else -1
    ordered = sorted(groups, key=lambda one: inf if one.mean is None else sign * one.mean)
    return Grouped(sweep, averaged, keys, tuple(ordered))


def spread(*groups: Group) -> float | None:
    """The standard deviation over repetitions that groups have in common; None where none has two."""
    known = [(one.n - 1, one.std**2) for one in groups if one.std is not None]
    weight = sum(number for number, _ in known)
    return sqrt(sum(number * square for number, square in known) / weight) if weight else None


def _group(sweep: Sweep, keys: Sequence[str], averaged: Sequence[str], rows: Sequence[Row], expected: int) -> Group:
    metric = sweep.metric or rows[0].optimized_metric
    values = FrozenDict({key: rows[0].overrides.get(key, "") for key in keys})
    results: dict[str, float] = {}
    for row in rows:
        if row.state == "finished" and metric in row.metrics and row.folder not in sweep.copies:
            name = _repetition(row, averaged)
            # A second run of one seed has no counterpart among those of another group, so that no test pairs them.
            results[name if name not in results else f"{name} ({row.folder})"] = row.metrics[metric]
    num_copies = sum(row.folder in sweep.copies for row in rows)
    return Group(values, tuple(rows), metric, FrozenDict(results), max(expected, len(rows) - num_copies), num_copies)


def _repetition(row: Row, averaged: Sequence[str]) -> str:
    return ",".join(row.overrides.get(key, "") for key in averaged)
