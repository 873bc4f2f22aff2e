"""Folders of runs → `Sweep`: one row a job, from its status.json, and a row as well for a job that left none."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.limits import MAX_STATUS_BYTES, MAX_SWEEP_BYTES, MAX_SWEEP_FILE_BYTES
from modelforge.core.regular_files import read_text
from modelforge.results.sweep import FAR, STATES, Row, State, Sweep, differing
from modelforge.results.unequal import unequal
from modelforge.runs.jobs import JOBS_FOLDER, SWEEP_FILE, read_job
from modelforge.runs.liveness import STATUS, is_alive, machine
from modelforge.runs.status import read

JOBS = "jobs.json"
"""The overrides of each job, as earlier versions wrote them."""
WRITTEN = frozenset({".hydra", "plan.json", "ledger.json", "metrics.csv", "checkpoints"})
"""What a run writes besides; conf/ has a config.yaml too."""
MARKS = (SWEEP_FILE, JOBS, "multirun.yaml")
"""Files of which one lies in the folder of a multirun."""
INSIDE = frozenset({"checkpoints", "jobs", "set-aside", "wandb", "mlruns", "evaluation", "__pycache__"})
"""Folders in those of runs and of sweeps that hold no runs; elsewhere these are names like others."""
NUMBERED = re.compile(r"(\d{1,7})(?:,|$)")
LOWER_IS_BETTER = ("loss", "bits", "mse")
"""The metrics that improve downwards where a status, of an earlier version, does not list them."""
NOT_OURS = "no status.json: the job never started, or was not ours"


@dataclass(frozen=True, slots=True)
class Planned:
    """A job as the sweep's folder lists it."""

    number: int
    overrides: Mapping[str, str]
    folder: str = ""


def collect(folder: str | Path, *others: str | Path) -> Sweep:
    """Reads every run below some folders.

    Args:
        folder: A multirun's folder, any folder that holds run folders, or that of one run, which is called `.` then.
        others: Further ones, whose runs are put into the same table.

    Raises:
        ForgeError: there is no such folder, or one holds no run.
    """
    roots = [*dict.fromkeys(Path(one) for one in (folder, *others))]
    labels = _labels(roots)
    rows: list[Row] = []
    missing: list[Problem] = []
    for root, label in zip(roots, labels, strict=True):
        found = _rows(root)
        if found is None:
            message = _nothing(root)
            missing.append(Problem("MF071", str(root), message, "name the folder of a multirun: runs/sweeps/..."))
        rows += [_labelled(row, label) for row in found or ()]
    if missing:
        raise ForgeError(missing)
    metrics = {row.optimized_metric for row in rows if row.optimized_metric}
    metric = next(iter(metrics)) if len(metrics) == 1 else ""
    names = ", ".join(map(str, roots))
    damaged = tuple(_damaged(root) for root in roots if _listed(root) is None and (root / SWEEP_FILE).is_file())
    keys, texts = tuple(differing(rows)), tuple(map(str, roots))
    return Sweep(names, tuple(rows), keys, metric, texts, damaged, unequal(rows)).by(metric)


def _damaged(root: Path) -> str:
    return f"{root / SWEEP_FILE} cannot be read: jobs that never began are those in {root / JOBS_FOLDER}"


def _listed(root: Path) -> list[Planned] | None:
    """The jobs of sweep.json; None where there is none, or it is damaged."""
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
        listed = json.loads(read_text(root / SWEEP_FILE, MAX_SWEEP_FILE_BYTES))["jobs"]
        return [
            Planned(int(job["number"]), as_overrides(job["overrides"]), str(job.get("folder") or "")) for job in listed
        ]
    return None


def planned_jobs(root: Path) -> list[Planned]:
    """The jobs that a multirun's folder lists; those that are frozen in it, where the list is damaged."""
    if (listed := _listed(root)) is not None:
        return listed
    if (root / SWEEP_FILE).is_file():
        return [*_frozen(root)]
    with suppress(OSError, ValueError):
        listed = json.loads(read_text(root / JOBS, MAX_SWEEP_BYTES))
        if isinstance(listed, list):
            found = [as_overrides(job) if isinstance(job, list) else {} for job in listed]
            return [Planned(number, overrides) for number, overrides in enumerate(found) if overrides]
    return []


def _frozen(root: Path) -> Iterator[Planned]:
    """The jobs whose files can be read."""
    for path in sorted(root.glob(f"{JOBS_FOLDER}/*.yaml")):
        with suppress(ForgeError, ValueError):
            job = read_job(root, int(path.stem))
            yield Planned(job.number, as_overrides(job.overrides), job.folder)


def as_overrides(words: Sequence[Any]) -> FrozenDict[str, str]:
    """Overrides by key; a key that is deleted has the value `(deleted)`."""
    return FrozenDict(_parse_override(str(word)) for word in words)


def _labels(roots: Sequence[Path]) -> list[str]:
    """What is put in front of the names of jobs: nothing for one folder, of several the parts that tell them apart."""
    if len(roots) == 1:
        return [""]
    parts = [root.absolute().parts for root in roots]
    shared = next((index for index, names in enumerate(zip(*parts, strict=False)) if len({*names}) > 1), 0)
    found = ["/".join(one[shared:]) or one[-1] for one in parts]
    return found if len({*found}) == len(found) else [str(root) for root in roots]


def _labelled(row: Row, label: str) -> Row:
    if not label:
        return row
    inside = "" if row.folder == "." else f"/{row.folder}"
    return replace(row, folder=f"{label}{inside}", name=label if row.folder == "." else f"{label}/{row.name}")


def _nothing(root: Path) -> str:
    if root.is_dir():
        return f"`{root}` holds no runs"
    return f"`{root}` is a file, not a folder" if root.exists() else f"there is no folder `{root}`"


def _rows(root: Path) -> list[Row] | None:
    """The rows of one folder; None where it holds nothing."""
    planned = planned_jobs(root)
    jobs = sorted(_jobs(root), key=str)
    if not jobs and not any((root / name).is_file() for name in (SWEEP_FILE, JOBS)):
        return None
    numbered = any((root / mark).exists() for mark in MARKS) or all(NUMBERED.match(job.name) for job in jobs)
    by_folder = {job.folder: job for job in planned if job.folder}
    begun = [_as_listed(_row(job, root, numbered), by_folder) for job in jobs]
    goes_on = any(row.state == "running" for row in begun) or is_held(root)
    return [*begun, *_not_begun(planned, begun, goes_on=goes_on)]


def is_held(root: Path) -> bool:
    """Whether the process that started the sweep is alive: it keeps the folder locked."""
    with suppress(OSError):
        return is_alive(root, machine())
    return False


def _jobs(root: Path) -> Iterator[Path]:
    """Folders with a status, and those at the top without one that a run began: it wrote there, or Hydra made them."""
    found = [*run_folders(root)]
    if not found and (root / STATUS).is_file():
        yield root
        return
    yield from found
    parents = {parent for job in found for parent in (job, *job.parents)}
    for path in root.iterdir() if root.is_dir() else ():
        if path.is_dir() and not path.name.startswith(".") and path not in parents and _began(path):
            yield path


def run_folders(root: Path) -> Iterator[Path]:
    """The folders below `root` with a status, without looking into what a run or a sweep keeps."""
    for at, folders, files in os.walk(root):
        if not {STATUS, *MARKS}.isdisjoint(files):
            folders[:] = [name for name in folders if name not in INSIDE]
        if STATUS in files and Path(at) != root:
            yield Path(at)


def _began(folder: Path) -> bool:
    inside = {path.name for path in folder.iterdir()}
    return bool(inside & WRITTEN) or (not inside and NUMBERED.match(folder.name) is not None)


def _row(job: Path, root: Path, numbered: bool) -> Row:
    folder = job.relative_to(root).as_posix()
    match = NUMBERED.match(job.name) if numbered else None
    # A name that is not read back from a status says more than its number.
    names: dict[str, Any] = {
        "folder": folder,
        "number": int(match[1]) if match else FAR,
        "name": folder,
        "path": str(job),
    }
    nothing: FrozenDict[str, Any] = FrozenDict()
    if not (job / STATUS).is_file():
        return Row(state="missing", overrides=nothing, metrics=nothing, reason=NOT_OURS, **names)
    try:
        found = _row_of(read(job), names)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return Row(state="broken", overrides=nothing, metrics=nothing, reason="status.json cannot be read", **names)
    return replace(found, name=match[1]) if match and found.overrides else found


def _as_listed(row: Row, listed: Mapping[str, Planned]) -> Row:
    """A job with its number from the list of jobs: its folder may be called otherwise. So with its overrides, where its
    status says none.
    """
    job = listed.get(row.folder)
    if job is None:
        return row
    return replace(row, overrides=row.overrides or job.overrides, number=job.number, name=str(job.number))


def _not_begun(planned: Sequence[Planned], begun: Sequence[Row], *, goes_on: bool) -> Iterator[Row]:
    """The jobs of a multirun whose turn has not come, or never came."""
    known = Counter(_identity(row.overrides) for row in begun if row.overrides)
    numbers = {row.number for row in begun if not row.overrides}
    folders = {row.folder for row in begun}
    state: State = "queued" if goes_on else "missing"
    for job in planned:
        identity = _identity(job.overrides)
        if job.folder in folders if job.folder else known[identity] > 0:
            known[identity] -= 1
        elif job.folder or job.number not in numbers:
            reason = "" if goes_on else "it never began"
            name = str(job.number)
            yield Row(
                job.folder or name, state, job.overrides, FrozenDict(), reason=reason, number=job.number, name=name
            )


def _identity(overrides: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(overrides.items())


def _row_of(status: Mapping[str, Any], names: Mapping[str, Any]) -> Row:
    state = status["state"]
    reason = "; ".join(str(problem["message"]).splitlines()[0] for problem in status["error"])
    if state not in STATES:
        raise ValueError(state)
    if state == "finished" and status.get("pruned"):
        state = "pruned"
    if state == "killed":
        reason = f"its process ({status['pid']}) is gone"
        if status.get("machine", machine()) != machine():
            reason = f"its process ({status['pid']} on {status['host']}) gives no sign of life"
    seconds, ended = status.get("fit_seconds", status["seconds"]), status.get("ended")
    metric = status["optimized_metric"]
    if not isinstance(metric, str):
        raise TypeError(metric)
    return Row(
        state=state,
        overrides=as_overrides(status["overrides"]),
        metrics=FrozenDict({str(key): _finite(value) for key, value in status["metrics"].items()}),
        seconds=None if seconds is None else _finite(seconds),
        reason=reason,
        optimized_metric=metric,
        lower_is_better=tuple(map(str, status.get("lower_is_better", LOWER_IS_BETTER))),
        ended="" if ended is None else datetime.fromisoformat(ended).isoformat(),
        config_hash=str(status.get("config_hash", "")),
        **names,
    )


def _finite(value: Any) -> float:
    """A number of a status; JSON as we write it has no other."""
    found = float(value)
    if not isfinite(found):
        raise ValueError(value)
    return found


def _parse_override(override: str) -> tuple[str, str]:
    key, _, value = override.partition("=")
    return (key.lstrip("+"), value) if not key.startswith("~") else (key[1:], "(deleted)")


@dataclass(frozen=True, slots=True)
class Membership:
    """The sweep that a run belongs to."""

    folder: Path
    """The sweep's."""
    job: int
    """The run's number in it."""

    @property
    def sweep(self) -> str:
        """The name of the sweep's folder."""
        return self.folder.name


def membership(folder: Path) -> Membership | None:
    """The sweep of a run folder; None for a run outside a multirun.

    Args:
        folder: The run folder: of a frozen job anywhere in that of its sweep; else right in it, and with a name that
            begins with the job's number.
    """
    number, above = _frozen_number(folder), list(folder.absolute().parents)
    if number is None and (match := NUMBERED.match(folder.name)) is not None:
        number, above = int(match[1]), above[:1]
    root = next((one for one in above if any((one / mark).is_file() for mark in MARKS)), None)
    return None if number is None or root is None else Membership(root, number)


def _frozen_number(folder: Path) -> int | None:
    """The number of the frozen job that a run is; None for any other."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        return int(json.loads(read_text(folder / STATUS, MAX_STATUS_BYTES))["job"]["number"])
    return None
