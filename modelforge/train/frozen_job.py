"""work: one frozen job of a sweep → its run, once: what is finished is left alone, what has a checkpoint goes on."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from modelforge.config.compose import Config
from modelforge.config.origins import Origins
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import remove_leftovers
from modelforge.core.lazy_extras import import_extras_late
from modelforge.core.quoting import printable
from modelforge.report.stream import complain
from modelforge.runs.jobs import FrozenJob, read_job
from modelforge.runs.liveness import STATUS, claimed
from modelforge.runs.status import DONE, Status, check_idle, read
from modelforge.train.aside import ASIDE, set_aside
from modelforge.train.job import Result, execute
from modelforge.train.siblings import siblings


def work(folder: Path, number: int) -> Result:
    """Runs one frozen job, unless it has a result.

    Any number of processes may do this at the same time, on any machines that share the folder: a job that one of them
    works on is refused to the others. A job that was interrupted, killed or failed goes on from its last checkpoint,
    or begins again.

    Args:
        folder: The sweep's.
        number: The job's.

    Returns:
        How it ended: 0 with a result, also where it had one before; a divergence is a result. 1 for a mistake, 128 + n
        after signal n.

    Raises:
        ForgeError: there is no such job, its file is damaged, or another process works on it.
    """
    job = read_job(folder, number)
    run = folder / job.folder
    with claimed(run, Problem("MF078", str(number), f"another process works on job {number}", f"wait for it: `{run}`")):
        check_idle(run)
        before = _before(run, job)
        if before is not None and before["state"] in DONE:
            print(printable(f"job {number} has a result: {before['state']}  ·  {run}"), flush=True)
            return Result(0, _status(before))
        result = _execute(job, run, before, siblings(folder, job))
    _give_back_memory()
    return Result(0 if result.status.state in DONE else result.exit_code, result.status)


def _execute(job: FrozenJob, run: Path, before: Mapping[str, Any] | None, others: Sequence[Path]) -> Result:
    """Runs a job, from the last checkpoint of the attempt before, if that left one: also without a readable status."""
    remove_leftovers(run)
    ckpt = _last_checkpoint(run)
    if ckpt is None:
        _put_aside(run) if before is None else _clear(run)
    values = {**job.config, "ckpt": str(ckpt)} if ckpt else job.config
    return execute(
        lambda: Config(values, Origins.empty(), job.overrides, {}),
        run,
        job.overrides,
        show_plan=False,
        job={"number": job.number, "hash": job.hash},
        attempt=1 if before is None else before["attempt"] + 1,
        siblings=others,
    )


def _give_back_memory() -> None:
    """Returns what a job has freed to the system, where the C library can: pieces of it would add up over many jobs."""
    gc.collect()
    if not gc.get_freeze_count():
        gc.freeze()  # what packages hold lives on: to look at it after each job takes longer than a small job
    if (trim := getattr(ctypes.CDLL(None) if os.name == "posix" else None, "malloc_trim", None)) is not None:
        trim(0)


def _before(run: Path, job: FrozenJob) -> Mapping[str, Any] | None:
    """The status of the attempt before; None where there is none, or it cannot be read.

    Raises:
        ForgeError: the folder holds another run.
    """
    try:
        found = read(run)
        of = found.get("job") or {}
        matches = of.get("hash") == job.hash
        found["attempt"] = int(found.get("attempt") or 1)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    if not matches:
        message = f"`{run}` holds a run that is not of this job"
        raise ForgeError([Problem("MF051", "hydra.sweep.dir", message, "move it out of the sweep's folder")])
    return found


def _status(data: Mapping[str, Any]) -> Status:
    known = {one.name for one in fields(Status)}
    kept: dict[str, Any] = {key: value for key, value in data.items() if key in known}
    lists: dict[str, Any] = {key: tuple(value) for key, value in kept.items() if isinstance(value, list)}
    return Status(**{**kept, **lists})


def _last_checkpoint(run: Path) -> Path | None:
    """The checkpoint to go on from; one that is damaged is none."""
    last = run / "checkpoints" / "last.ckpt"
    if not last.exists():
        return None
    import_extras_late()
    from modelforge.train.resume import load_checkpoint

    try:
        load_checkpoint(last)
    except ForgeError as error:
        complain(error)
        print(printable(f"{last} is left out: the job begins again"), flush=True)
        return None
    return last


def _clear(run: Path) -> None:
    """Removes what an attempt without a usable checkpoint left, so that loggers do not append to it."""
    for path in _contents(run):
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _put_aside(run: Path) -> None:
    """Moves what an attempt without a readable status and without a checkpoint to go on from left.

    It may be a finished run.
    """
    if not (found := [*_contents(run)]):
        return
    place = set_aside(found, run)
    print(
        printable(f"{run} has no readable {STATUS}: what was there is now in {place}, and the job begins again"),
        flush=True,
    )


def _contents(run: Path) -> Iterator[Path]:
    """The files and folders of an attempt."""
    return (path for path in [*run.iterdir()] if not path.name.startswith(".") and path.name != ASIDE)
