"""work_one, work_all: a worker on a sweep's folder, for one job or for one after another; any number share the work."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

from modelforge.core.errors import ForgeError
from modelforge.report.stream import complain
from modelforge.runs.jobs import JobEntry, read_job
from modelforge.runs.status import DONE, read_state
from modelforge.sweeps.kept import check_kept, with_result
from modelforge.sweeps.resume import listed
from modelforge.train.frozen_job import work
from modelforge.train.terminal import say, say_job

BUSY = "MF078"
"""The code of a job that another process works on."""


def work_one(folder: Path, number: int) -> int:
    """Runs one job, unless it has a result; of one that has, looks whether its data is still the same.

    Args:
        folder: The sweep's.
        number: The job's.

    Returns:
        0 if it has a result, 1 if not, 128 + n after signal n.

    Raises:
        ForgeError: there is no such job, its file is damaged, its result is of other data, or another process works
            on it.
    """
    check_kept(folder, with_result(folder, [read_job(folder, number)]), say)
    return work(folder, number).exit_code


def work_all(folder: Path, *, retry_failed: bool = False) -> int:
    """Runs the jobs without a result that no other process works on, one after another.

    Args:
        folder: The sweep's.
        retry_failed: Whether jobs that failed before are run again, once.

    Returns:
        0 if every job that this process ran has a result, 1 if not, 128 + n after signal n.

    Raises:
        ForgeError: there is no sweep, its list of jobs is damaged, it is a search, which has none, or results in it are
            of other data, and jobs are to stand beside them.
    """
    status, jobs = 0, listed(folder).jobs
    for turn, job in enumerate(_open(folder, jobs, retry_failed=retry_failed)):
        if turn == 0:  # reads the data, which is for nothing where nothing is to be done
            check_kept(folder, with_result(folder, jobs), say)
        say_job(job.number, job.overrides)
        try:
            result = work(folder, job.number)
        except ForgeError as error:
            if any(problem.code == BUSY for problem in error.problems):
                continue
            complain(error)
            status = 1
            continue
        except Exception:  # a bug of one job's; its status is written
            traceback.print_exc()
            status = 1
            continue
        if result.exit_code > 128:
            return result.exit_code
        status = max(status, result.exit_code)
    return status


def _open(folder: Path, jobs: tuple[JobEntry, ...], *, retry_failed: bool) -> Iterator[JobEntry]:
    """The jobs to run, each looked at when its turn comes."""
    for job in jobs:
        state = read_state(folder / job.folder)
        if state not in (*DONE, "running") and (retry_failed or state != "failed"):
            yield job
