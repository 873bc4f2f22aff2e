"""sweep: a folder of runs → one table."""

from __future__ import annotations

from pathlib import Path

from modelforge.cli.answer import Answer
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.suggestions import did_you_mean
from modelforge.runs import collect
from modelforge.runs.table import table


def sweep(folder: Path, metric: str | None, *, csv: bool) -> Answer:
    """The jobs of a multirun; status 1 if one of them ended before it finished, or never began.

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
        found = found.by(metric)
    status = int(bool(found.counts.keys() - {"finished", "running"}))
    return Answer(found.to_dict(), found.to_csv() if csv else table(found), status)
