"""sweep: a folder of runs → one table."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path

from modelforge.cli.answer import Answer
from modelforge.errors import ForgeError, Problem, did_you_mean
from modelforge.sweep import Row, Sweep, collect
from modelforge.sweep.collect import STATES


def sweep(folder: Path, metric: str | None, *, csv: bool) -> Answer:
    """The jobs of a multirun.

    Args:
        folder: Where they are.
        metric: What to sort by; None for what the runs optimized.
        csv: Whether the text is CSV, with all metrics, in place of a table.

    Raises:
        ForgeError: there is no such folder, it holds no run, or no run has the metric.
    """
    found = collect(folder)
    if metric is not None:
        if metric not in found.metric_names:
            hint = did_you_mean(metric, found.metric_names)
            raise ForgeError([Problem("MF080", metric, f"no run in `{folder}` has a metric `{metric}`", hint)])
        found = _by(found, metric)
    return Answer(found.to_dict(), found.to_csv() if csv else found.table())


def _by(found: Sweep, metric: str) -> Sweep:
    """The same runs, sorted by another metric: finished ones first, a loss upwards, anything else downwards."""
    sign = 1 if metric.endswith("loss") else -1

    def rank(row: Row) -> tuple[int, float]:
        return STATES[row.state], sign * row.metrics[metric] if metric in row.metrics else inf

    return replace(found, rows=tuple(sorted(found.rows, key=rank)), metric=metric)
