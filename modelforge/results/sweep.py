"""`Row` and `Sweep`: the jobs of a multirun, or the runs of any folders, as one sorted table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from types import MappingProxyType
from typing import Literal, get_args

from modelforge.results.values import shortened

State = Literal[
    "finished", "pruned", "running", "queued", "interrupted", "diverged", "failed", "killed", "broken", "missing"
]  # fmt: skip
"""`pruned`: ended early by a search; `queued`: not begun, but the sweep goes on; `killed`: its process is gone or
silent; `broken`: the status cannot be read; `missing`: a folder without a status, or a job that never began and that no
process works on."""
STATES = MappingProxyType({state: rank for rank, state in enumerate(get_args(State))})
OVER = frozenset({"finished", "pruned", "diverged"})
"""States with a result."""
OPEN = frozenset({"running", "queued"})
"""States of a job that may still finish by itself."""
FAR = 1_000_000_000
"""The number of a run that has none."""


@dataclass(frozen=True)
class Row:
    """One job."""

    folder: str
    """Relative to the sweep's folder; of several sweeps, with its name in front."""
    state: State
    overrides: Mapping[str, str]
    """Everything that was set for this job, by key."""
    metrics: Mapping[str, float]
    seconds: float | None = None
    """Of training and testing; imports and composition are not the job's."""
    reason: str = ""
    """Why it did not finish, in one line."""
    optimized_metric: str = ""
    lower_is_better: tuple[str, ...] = ()
    number: int = FAR
    """The job's number in its sweep; large where it has none."""
    name: str = ""
    """What the job is called in tables: its number, or the folder of a run outside a multirun."""
    path: str = ""
    """The run folder as the working folder sees it; empty for a job without one."""
    ended: str = ""
    """When it ended, in ISO format."""
    config_hash: str = ""
    """Of the whole config; empty where the status does not say."""

    @property
    def listed_number(self) -> int | None:
        """The number, None where it has none."""
        return None if self.number == FAR else self.number

    @property
    def is_over(self) -> bool:
        """Whether it gave a result: a number, or a divergence."""
        return self.state in OVER


@dataclass(frozen=True)
class Sweep:
    """The jobs of a multirun, or of any folders of runs, best first."""

    folder: str
    """Of several, their names with commas."""
    rows: tuple[Row, ...]
    keys: tuple[str, ...]
    """The overrides that differ between jobs."""
    metric: str
    """What the rows are sorted by: errors upwards, anything else downwards.
    Empty where jobs optimize different metrics."""
    folders: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    """Lists of jobs that cannot be read, each in a sentence."""
    unequal: tuple[str, ...] = ()
    """What results do not have in common though no setting says so, each in a sentence."""

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of jobs by state, in the order of `State`."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in sorted(found, key=STATES.__getitem__)}

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics that at least one job has: the optimized one, then those of the test, then the others."""
        names = dict.fromkeys(name for row in self.rows for name in row.metrics)
        return tuple(sorted(names, key=lambda name: (name != self.metric, not name.startswith("test/"), name)))

    @property
    def lower_is_better(self) -> bool:
        """Whether less of the metric is better."""
        return less_is_better(self.rows, self.metric)

    @property
    def is_mixed(self) -> bool:
        """Whether jobs optimize different metrics, so that no column can hold all results."""
        return not self.metric and any(row.optimized_metric for row in self.rows)

    @cached_property
    def copies(self) -> frozenset[str]:
        """The folders of jobs with the values and all metrics of another one: to run it again gives the same."""
        seen: set[tuple[frozenset[tuple[str, str]], frozenset[tuple[str, float]]]] = set()
        found: set[str] = set()
        done = (row for row in self.rows if row.state == "finished" and row.metrics)
        for row in sorted(done, key=lambda row: row.folder):
            key = frozenset(row.overrides.items()), frozenset(row.metrics.items())
            if key in seen:
                found.add(row.folder)
            seen.add(key)
        return frozenset(found)

    def result(self, row: Row) -> float | None:
        """The value that a job is judged by; None where it has none."""
        return row.metrics.get(self.metric or row.optimized_metric)

    def text(self, key: str, value: str) -> str:
        """A swept value as tables and axes show it: a long number in few digits, which no other value of its key has.

        Args:
            key: Its key.
            value: As it was set.
        """
        return self._texts.get(key, {}).get(value, value)

    @cached_property
    def _texts(self) -> Mapping[str, Mapping[str, str]]:
        return {key: shortened({row.overrides[key] for row in self.rows if key in row.overrides}) for key in self.keys}

    def by(self, metric: str) -> Sweep:
        """The same runs, sorted by a metric: finished ones first, errors upwards, anything else downwards.

        Args:
            metric: The metric; empty for that of each job, whose runs then come together.
        """
        named = [metric] if metric else [*dict.fromkeys(row.optimized_metric for row in self.rows)]
        signs = {name: 1 if less_is_better(self.rows, name) else -1 for name in named}

        def rank(row: Row) -> tuple[int, str, float, int, str]:
            name = metric or row.optimized_metric
            value = signs[name] * row.metrics[name] if name in row.metrics else inf
            return STATES[row.state], "" if metric else name, value, row.number, row.folder

        return replace(self, rows=tuple(sorted(self.rows, key=rank)), metric=metric)


def less_is_better(rows: Iterable[Row], metric: str) -> bool:
    """Whether less of a metric is better, as the jobs say."""
    name = metric.rpartition("/")[2]
    return any(name in row.lower_is_better for row in rows)


def differing(rows: Iterable[Row]) -> Iterator[str]:
    """The keys whose values differ between jobs, in the order in which they were set."""
    known = [row.overrides for row in rows if row.overrides]
    for key in dict.fromkeys(key for overrides in known for key in overrides):
        if len({overrides.get(key) for overrides in known}) > 1:
            yield key
