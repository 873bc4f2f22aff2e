"""resume: the folder of a sweep → the jobs in it that have no result yet, and the command that runs them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from modelforge._version import __version__
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.project import shown
from modelforge.core.words import plural
from modelforge.runs.jobs import JobEntry, SweepFile, read_sweep_file
from modelforge.runs.status import DONE, as_hydra_reads, read_state
from modelforge.train.terminal import say

ENGINE = (
    "hydra/launcher",
    "hydra.launcher",
    "hydra.sweeper.max_batch_size",
    "hydra.verbose",
    "hydra.sweep.dir",
    "hydra.mode",
)
"""Overrides that a resumed sweep may have: how its jobs are run."""
SEARCH_ENGINE = ("hydra/sweeper", "hydra.sweeper.n_trials", "hydra.sweeper.n_jobs", "hydra.sweeper.timeout")
"""What a search that goes on may have besides: how its trials are run, and how many."""


def check_resuming(overrides: Sequence[str]) -> None:
    """Checks that a command line that resumes a sweep sets no values of jobs.

    Raises:
        ForgeError: it does.
    """
    problems: list[Problem] = []
    folders = [word for word in overrides if _key(word) == "hydra.sweep.dir"]
    for word in overrides:
        key = _key(word)
        if key == "hydra.sweep.dir" and word != folders[-1]:  # the last is that of the sweep
            message = f"`{key}` has no effect on a sweep that goes on: its folder is that of `sweep.resume`"
            problems.append(Problem("MF077", key, message, "leave it out", Place(override=word)))
        elif key != "sweep.resume" and not key.startswith(ENGINE):
            message = f"`{key}` cannot be set for a sweep that goes on: its jobs are frozen"
            hint = "leave it out, or start a new sweep; `hydra/launcher=...` may be set"
            problems.append(Problem("MF077", key, message, hint, Place(override=word)))
    if problems:
        raise ForgeError(problems)


def check_search_resuming(before: Sequence[str], overrides: Sequence[str]) -> None:
    """Checks that a command line that takes part in a search leaves its trials what they are.

    Args:
        before: The overrides that the search began with, of which any may be given again.
        overrides: Those of the command line.

    Raises:
        ForgeError: it sets something else than how trials are run, and how many.
    """
    began, now = ({_key(word): word for word in words} for words in (before, overrides))
    others = [key for key, word in now.items() if began.get(key) != word and _is_of_trials(key)]
    if others:
        raise ForgeError([_changed_trials(key, now[key], began.get(key)) for key in others])


def _is_of_trials(key: str) -> bool:
    return key != "sweep.resume" and not key.startswith((*ENGINE, *SEARCH_ENGINE))


def _changed_trials(key: str, word: str, before: str | None) -> Problem:
    began = f"`{before}`" if before else "none"
    message = f"`{key}` cannot be set for a search that goes on: it began with {began}"
    hint = (
        "leave it out, or search in a new folder, as trials would not compare; `hydra.sweeper.n_trials=...` may be set"
    )
    return Problem("MF077", key, message, hint, Place(override=word))


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def way_on(folder: Path) -> str:
    """The command that runs what the sweep in a folder has not run."""
    words = [f"sweep.resume={as_hydra_reads(shown(folder))}"]
    with suppress(ForgeError):  # where the list of jobs is damaged, the command itself says so
        words += [] if read_sweep_file(folder).jobs else ["hydra/sweeper=optuna"]
    return f"python train.py {shlex.join(words)}"


@contextmanager
def saying_how_to_go_on(command: Callable[[], str]) -> Generator[None]:
    """Where what it surrounds is interrupted, prints the command that goes on.

    Args:
        command: Gives it.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        if isinstance(error, KeyboardInterrupt) or (isinstance(error.code, int) and error.code > 128):
            say(f"to go on: {command()}")
        raise


def unfinished(folder: Path, sweep: SweepFile) -> list[JobEntry]:
    """The jobs without a result, of which some may be running."""
    return [job for job in sweep.jobs if read_state(folder / job.folder) not in DONE]


def listed(folder: Path) -> SweepFile:
    """The sweep in a folder, with its list of jobs.

    Raises:
        ForgeError: there is no sweep, its list of jobs is damaged, or it is a search, which has none.
    """
    sweep = read_sweep_file(folder)
    if not sweep.jobs:
        message = f"the sweep in `{shown(folder)}` is a search, which has no list of jobs"
        hint = f"`{way_on(folder)}` goes on with it"
        raise ForgeError([Problem("MF077", "sweep.resume", message, hint)])
    return sweep


def resumed(folder: Path) -> tuple[SweepFile, list[JobEntry], list[Problem]]:
    """The sweep in a folder, its jobs without a result, and warnings.

    Raises:
        ForgeError: as `listed`.
    """
    sweep = listed(folder)
    return sweep, unfinished(folder, sweep), [*_other_versions(folder, sweep)]


def to_do(folder: Path, sweep: SweepFile, jobs: Sequence[JobEntry]) -> str:
    """What is left to do, in a line."""
    done = len(sweep.jobs) - len(jobs)
    return f"{plural(len(sweep.jobs), 'job')}: {done:,} with a result, {len(jobs):,} to do  ·  {shown(folder)}"


def _other_versions(folder: Path, sweep: SweepFile) -> list[Problem]:
    here = {"modelforge": __version__, "torch": version("torch")}
    before = {"modelforge": sweep.modelforge, "torch": sweep.torch or here["torch"]}
    changed = [f"{name} {before[name]}, and now {here[name]}" for name in here if before[name] != here[name]]
    if not changed:
        return []
    message = f"the sweep in `{shown(folder)}` was started with {'; '.join(changed)}"
    hint = "jobs from here on may differ in the last digits from those before"
    return [Problem("MW213", "sweep.resume", message, hint, severity="warning")]
