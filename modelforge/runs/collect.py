"""A folder of runs → `Sweep`: one row a job, from its status.json, and a row as well for a job that left none."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.limits import MAX_SWEEP_BYTES
from modelforge.core.regular_files import read_text
from modelforge.runs.liveness import STATUS, machine
from modelforge.runs.status import read

JOBS = "jobs.json"
"""The overrides of each job of a multirun, written before the first one begins."""
WRITTEN = frozenset({".hydra", "plan.json", "ledger.json", "metrics.csv", "checkpoints"})
"""What a run writes besides; conf/ has a config.yaml too."""
State = Literal["finished", "running", "interrupted", "diverged", "failed", "killed", "broken", "missing"]
"""`killed`: its process is gone or silent; `broken`: the status cannot be read; `missing`: a folder without a status,
or a job that never began."""
LOWER_IS_BETTER = ("loss", "bits", "mse")
"""The metrics that improve downwards where a status, of an earlier version, does not list them."""
STATES = MappingProxyType({state: rank for rank, state in enumerate(get_args(State))})


@dataclass(frozen=True)
class Row:
    """One job."""

    folder: str
    """Relative to the sweep's folder."""
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

    @property
    def number(self) -> int:
        """The job's number in its sweep, by which Hydra names the folder; large where the name has none."""
        match = re.match(r"\d+", self.folder)
        return int(match.group()) if match else 1_000_000_000


@dataclass(frozen=True)
class Sweep:
    """The jobs of a multirun (or any folder of runs), best first."""

    folder: str
    rows: tuple[Row, ...]
    keys: tuple[str, ...]
    """The overrides that differ between jobs."""
    metric: str
    """What the rows are sorted by: errors upwards, anything else downwards."""

    @property
    def finished(self) -> bool:
        """Whether every job did."""
        return all(row.state == "finished" for row in self.rows)

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of jobs by state, in the order of `State`."""
        states = sorted((row.state for row in self.rows), key=STATES.__getitem__)
        return {state: states.count(state) for state in dict.fromkeys(states)}

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The metrics that at least one job has: the optimized one, then those of the test, then the others."""
        names = dict.fromkeys(name for row in self.rows for name in row.metrics)
        return tuple(sorted(names, key=lambda name: (name != self.metric, not name.startswith("test/"), name)))

    def by(self, metric: str) -> Sweep:
        """The same runs, sorted by a metric: finished ones first, errors upwards, anything else downwards."""
        name = metric.rpartition("/")[2]
        sign = 1 if any(name in row.lower_is_better for row in self.rows) else -1

        def rank(row: Row) -> tuple[int, float, int, str]:
            value = sign * row.metrics[metric] if metric in row.metrics else inf
            return STATES[row.state], value, row.number, row.folder

        return replace(self, rows=tuple(sorted(self.rows, key=rank)), metric=metric)

    def to_dict(self) -> dict[str, Any]:
        """The sweep as plain data."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows]}

    def to_csv(self) -> str:
        """One line a job: state, swept values, metrics, duration, folder, reason."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["state", *self.keys, *self.metric_names, "seconds", "folder", "reason"])
        for row in self.rows:
            swept = [row.overrides.get(key, "") for key in self.keys]
            metrics = [row.metrics.get(name, "") for name in self.metric_names]
            seconds = "" if row.seconds is None else row.seconds
            writer.writerow([row.state, *swept, *metrics, seconds, row.folder, row.reason])
        return out.getvalue()


def collect(folder: str | Path) -> Sweep:
    """Reads every run below `folder`.

    Args:
        folder: A multirun's folder, any folder that holds run folders, or that of one run, which is called `.` then.

    Raises:
        ForgeError: there is no such folder, or it holds no run.
    """
    root = Path(folder)
    jobs = sorted(_jobs(root), key=str)
    if not jobs and not (root / JOBS).is_file():
        raise ForgeError(
            [Problem("MF071", str(folder), _nothing(root), "name the folder of a multirun: runs/sweeps/...")]
        )
    begun = [_row(job, root) for job in jobs]
    rows = (*begun, *_never_began(root, begun))
    metric = next((row.optimized_metric for row in rows if row.optimized_metric), "")
    return Sweep(str(root), rows, tuple(_differing(rows)), metric).by(metric)


def _nothing(root: Path) -> str:
    if root.is_dir():
        return f"`{root}` holds no runs"
    return f"`{root}` is a file, not a folder" if root.exists() else f"there is no folder `{root}`"


def _jobs(root: Path) -> Iterator[Path]:
    """Folders with a status, and those at the top without one that a run began: it wrote there, or Hydra made them."""
    found = [path.parent for path in root.rglob(STATUS) if path.parent != root]
    if not found and (root / STATUS).is_file():
        yield root
        return
    yield from found
    for path in root.iterdir() if root.is_dir() else ():
        if (
            path.is_dir()
            and not path.name.startswith(".")
            and not any(path == job or path in job.parents for job in found)
            and _began(path)
        ):
            yield path


def _began(folder: Path) -> bool:
    inside = {path.name for path in folder.iterdir()}
    return bool(inside & WRITTEN) or (not inside and re.match(r"\d+(,|$)", folder.name) is not None)


def _row(job: Path, root: Path) -> Row:
    name = job.relative_to(root).as_posix()
    nothing: FrozenDict[str, Any] = FrozenDict()
    if not (job / STATUS).is_file():
        return Row(name, "missing", nothing, nothing, reason="no status.json: the job never started, or was not ours")
    try:
        return _row_of(read(job), name)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Row(name, "broken", nothing, nothing, reason="status.json cannot be read")


def _never_began(root: Path, begun: Sequence[Row]) -> Iterator[Row]:
    """The jobs of a multirun that ended before their turn came."""
    try:
        found = json.loads(read_text(root / JOBS, MAX_SWEEP_BYTES))
    except (OSError, ValueError):
        return
    jobs: list[Any] = found if isinstance(found, list) else []
    known = [dict(row.overrides) for row in begun if row.overrides]
    numbers = {row.number for row in begun if not row.overrides}
    for number, job in enumerate(jobs):
        overrides = dict(_parse_override(str(word)) for word in job) if isinstance(job, list) else {}
        if overrides in known:
            known.remove(overrides)
        elif overrides and number not in numbers:
            yield Row(str(number), "missing", FrozenDict(overrides), FrozenDict(), reason="it never began")


def _row_of(status: Mapping[str, Any], name: str) -> Row:
    state = status["state"]
    reason = "; ".join(str(problem["message"]).splitlines()[0] for problem in status["error"])
    if state not in STATES:
        raise ValueError(state)
    if state == "killed":
        reason = f"its process ({status['pid']}) is gone"
        if status.get("machine", machine()) != machine():
            reason = f"its process ({status['pid']} on {status['host']}) gives no sign of life"
    return Row(
        name,
        state,
        FrozenDict(_parse_override(override) for override in status["overrides"]),
        FrozenDict({str(key): float(value) for key, value in status["metrics"].items()}),
        status.get("fit_seconds", status["seconds"]),
        reason,
        status["optimized_metric"],
        tuple(map(str, status.get("lower_is_better", LOWER_IS_BETTER))),
    )


def _parse_override(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return (key.lstrip("+"), value) if not key.startswith("~") else (key[1:], "(deleted)")


def _differing(rows: Iterable[Row]) -> Iterator[str]:
    known = [row.overrides for row in rows if row.overrides]
    for key in dict.fromkeys(key for overrides in known for key in overrides):
        if len({overrides.get(key) for overrides in known}) > 1:
            yield key
