"""`effects`: what each swept value did on its own: the mean over all jobs that have it, and how many diverged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from modelforge.results.sweep import Row, Sweep
from modelforge.results.values import in_order

MAX_VALUES = 200
"""Values of one key; a key with more has no table, nor one whose values have one job each, as in a search."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One value of one key, over all jobs that have it."""

    key: str
    value: str
    n: int
    """Jobs that have a result."""
    mean: float | None
    std: float | None
    """Over these jobs, whatever else differs between them."""
    counts: Mapping[str, int]
    """All jobs that have the value, by state."""

    @property
    def num_jobs(self) -> int:
        """All jobs that have the value."""
        return sum(self.counts.values())


def effects(sweep: Sweep) -> tuple[Effect, ...]:
    """The marginal means of each swept key, its values in their order: numbers upwards, names as they were given."""
    if sweep.is_mixed:
        return ()
    return tuple(effect for key in sweep.keys for effect in _of(sweep, key))


def _of(sweep: Sweep, key: str) -> list[Effect]:
    found: dict[str, list[Row]] = {}
    rows = (row for row in sweep.rows if row.overrides and row.folder not in sweep.copies)
    for row in sorted(rows, key=lambda row: row.number):
        found.setdefault(row.overrides.get(key, ""), []).append(row)
    if len(found) > MAX_VALUES or all(len(rows) == 1 for rows in found.values()):
        return []
    return [_effect(sweep, key, value, found[value]) for value in in_order(list(found))]


def _effect(sweep: Sweep, key: str, value: str, rows: Sequence[Row]) -> Effect:
    known = [row.metrics[sweep.metric] for row in rows if row.state == "finished" and sweep.metric in row.metrics]
    mean = fmean(known) if known else None
    return Effect(
        key, value, len(known), mean, stdev(known) if len(known) > 1 else None, Counter(row.state for row in rows)
    )
