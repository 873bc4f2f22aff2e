"""search: asks a study for trials, launches each as a frozen job of the sweep, and tells the study what it gave."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.plugins.launcher import Launcher
from optuna.pruners import BasePruner, NopPruner

from modelforge.config.compose import Config, compose
from modelforge.config.engines import NONE
from modelforge.config.sweeps import read_sweep
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.plugins import load_plugins
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.report.stream import complain
from modelforge.results.comparison import changes
from modelforge.runs.jobs import (
    FREE,
    JOBS_FOLDER,
    SWEEP_FILE,
    FrozenJob,
    make_jobs_folder,
    new_sweep_file,
    read_job,
    read_sweep_file,
    write_job,
    write_sweep_file,
)
from modelforge.runs.liveness import LOCK
from modelforge.runs.status import DONE, read
from modelforge.sweeps.check import Checker
from modelforge.sweeps.freezing import check_empty, frozen_job, remove_unfinished_freeze
from modelforge.sweeps.frozen_loader import words_for
from modelforge.sweeps.frozen_sweep import hydra_overrides, main_config
from modelforge.sweeps.kept import check_kept, with_result
from modelforge.sweeps.launchers import make_launcher, run_all
from modelforge.sweeps.multirun import Multirun
from modelforge.sweeps.optuna_settings import OptunaSettings, parse_settings
from modelforge.sweeps.optuna_space import Space, read_space
from modelforge.sweeps.optuna_study import Asked, Search
from modelforge.sweeps.resume import check_search_resuming, saying_how_to_go_on, way_on
from modelforge.sweeps.selection import Candidate, of_engine
from modelforge.sweeps.threads import most_written
from modelforge.train.callbacks.pruning import PruningSettings
from modelforge.train.prepare import located, prepare
from modelforge.train.studies import JOURNAL, make_pruner
from modelforge.train.terminal import say

TURN = 60.0
"""Seconds within which another process that begins the same search has written its files."""
FOLDERS = ("hydra.sweep.", "hydra.job.")
"""What the overrides begin with that say how the folders of trials are called."""
POLL = 1.0
"""Seconds between two looks at a job that another process runs."""


def search(multirun: Multirun) -> None:
    """Runs trials until the study in a folder has all of them; it may have begun earlier, and others may take part.

    Args:
        multirun: The folder, the config and the command line.

    Raises:
        ForgeError: the settings or the space are wrong, or the folder holds something else.
    """
    folder, config = multirun.folder, multirun.config
    if config.hydra.launcher._target_ == NONE:
        message = "a search runs its trials itself: which ones follow from the results"
        raise ForgeError([Problem("MF001", "hydra/launcher", message, "choose another launcher")])
    conf, name = main_config(config)
    load_plugins(conf.parent)
    given = [*hydra_overrides(config), *multirun.arguments]
    every = _begun(folder, given)
    sweep = read_sweep(conf, every)
    settings = parse_settings(dict(sweep.hydra["sweeper"]))
    texts = [f"{key}={value}" for key, value in settings.params.items()]
    space = read_space([*texts, *(word for word in every if not of_engine(word))], multirun.context.config_loader)
    base = compose(conf, space.fixed, name)
    _check_keys(space, conf, name)
    trials = _Trials(folder, conf, name, space, [word for word in every if word.startswith(FOLDERS)])
    _make_folder(folder, every, space)
    trials.check_kept()
    launcher = make_launcher(multirun, _threads(space, base), settings.n_jobs)
    deadline = time.monotonic() + (settings.timeout or float("inf"))
    go_on = saying_how_to_go_on(lambda: way_on(folder))
    with _study(folder, space, settings, base) as study, go_on:
        while time.monotonic() < deadline and (asked := [*_batch(study, settings)]):
            trials.run(asked, study, launcher)
        _say_best(study)


def _check_keys(space: Space, conf: Path, name: str) -> None:
    """Refuses a space of which no point can be composed, as where a key does not exist, before the first trial.

    Of a large space a few points are composed: it is refused for what is wrong with each of them.

    Raises:
        ForgeError: with what is wrong with the first point.
    """
    wrong: list[ForgeError] = []
    for point in space.corners():
        try:
            compose(conf, space.overrides(point), name)
            return
        except ForgeError as error:
            wrong.append(error)
    shared = set.intersection(*({(one.code, one.key) for one in error.problems} for error in wrong))
    problems = [one for one in wrong[0].problems if not space.has_more_corners or (one.code, one.key) in shared]
    if problems:
        raise ForgeError([space.blame(problem) for problem in problems])


def _threads(space: Space, base: Config) -> int | None:
    """The threads of the trial that has the most; None for one a core."""
    return most_written(space.values("num_threads") or [base.values.get("num_threads")])


def _say_best(study: Search) -> None:
    best, number = study.best, len(study.study.trials)
    if best is None:
        say(f"no result in {plural(number, 'trial')}")
    else:
        point = " ".join(study.space.overrides(best.params)[len(study.space.fixed) :])
        say(f"best of {plural(number, 'trial')}: {best.number} with {point}, {study.metric} {best.value:.5g}")


class _Trials:
    """The jobs of trials, in the folder of the sweep."""

    def __init__(self, folder: Path, conf: Path, name: str, space: Space, folders: Sequence[str] = ()) -> None:
        self.folder, self.conf, self.name, self.space, self.folders = folder, conf, name, space, folders
        self.checker, self.moment = Checker(), datetime.now()
        self.jobs: dict[int, FrozenJob] = {}
        self.warned: set[Problem] = set()

    def check_kept(self) -> None:
        """Checks that the trials with a result may stand beside those to come; config files that differ are a warning.

        Raises:
            ForgeError: the data is another one, or a trial that ran is invalid now.
        """
        done = with_result(self.folder, _jobs(self.folder))
        check_kept(self.folder, done, say)
        if done:
            before = read_job(self.folder, done[0].number)
            now = self.frozen(Asked(before.number, before.overrides))[0]
            edited = [one.name for one in changes("", before.config, now.config) if one.name.split(".")[0] not in FREE]
            if before.hash != now.hash and edited:
                complain(_edited(before.number, edited))

    def frozen(self, asked: Asked) -> tuple[FrozenJob, Sequence[Problem]]:
        """The job of a trial as the config files are now, and warnings.

        Raises:
            ForgeError: its values are invalid.
        """
        words = [*self.folders, *asked.overrides]
        config, notes = self.checker.check(compose(self.conf, words, self.name, moment=self.moment))
        return frozen_job(Candidate(asked.overrides, config), asked.number), notes

    def run(self, asked: Sequence[Asked], study: Search, launcher: Launcher) -> None:
        """Runs trials together, and tells the study what each gave."""
        jobs = [job for one in asked if (job := self.job(one, study)) is not None]
        if jobs:
            run_all(launcher, list(zip((job.number for job in jobs), words_for(jobs), strict=True)), self.status)
        for job in jobs:
            study.tell(job.number, self.ended(job.number))

    def job(self, asked: Asked, study: Search) -> FrozenJob | None:
        """The frozen job of a trial; None where its result is known at once, as of invalid values.

        Raises:
            ForgeError: there is one of this number that is another trial's.
        """
        if (frozen := self._frozen(asked.number)) is not None:  # of a trial that is taken over
            if frozen.overrides != asked.overrides:
                raise ForgeError([_foreign(frozen, self.folder)])
            self.jobs[asked.number] = frozen
            return frozen
        try:
            job, notes = self.frozen(asked)
            self._warn(notes)
        except ForgeError as error:
            complain(error)
            study.tell(asked.number, {"state": "failed"})
            return None
        if (equal := self._result(job)) is not None:
            study.tell(asked.number, equal)
            return None
        write_job(job, self.folder)
        self.jobs[asked.number] = job
        return job

    def _frozen(self, number: int) -> FrozenJob | None:
        with suppress(ForgeError):
            return read_job(self.folder, number)
        return None

    def _warn(self, notes: Sequence[Problem]) -> None:
        """Prints warnings, equal ones of several trials once."""
        for note in notes:
            if note not in self.warned:
                complain(note)
        self.warned.update(notes)

    def _result(self, job: FrozenJob) -> Mapping[str, Any] | None:
        """What an equal job of this process gave; None where there is none."""
        found = (self.status(number) for number, other in self.jobs.items() if other.hash == job.hash)
        return next((status for status in found if status.get("state") in DONE), None)

    def ended(self, number: int) -> Mapping[str, Any]:
        """The status of a job once it is over: a job of a process that is gone may go on elsewhere, as Slurm's do."""
        while (found := self.status(number)).get("state") == "running":
            time.sleep(POLL)
        return found

    def status(self, number: int) -> Mapping[str, Any]:
        """The status of a job; empty before it begins."""
        with suppress(OSError, ValueError, LookupError, TypeError):
            return read(self.folder / self.jobs[number].folder)
        return {}


def _batch(study: Search, settings: OptunaSettings) -> Iterator[Asked]:
    for _ in range(settings.n_jobs):
        asked = study.take(settings.n_trials)
        if asked is None:
            return
        yield asked


def _study(folder: Path, space: Space, settings: OptunaSettings, base: Config) -> Search:
    with located(base):
        terms = prepare(base).terms
    mode = terms.metrics[terms.metric] if settings.direction is None else settings.direction[:3]
    sampler = settings.sampler.model_dump()
    return Search(folder, space, sampler, terms.metric, minimize=mode == "min", pruner=_pruner(base.values))


def _pruner(values: Mapping[str, Any]) -> BasePruner:
    """That of the trials: some samplers must know it."""
    section = (values.get("callbacks") or {}).get("pruning")
    if not section:
        return NopPruner()
    settings = PruningSettings.model_validate({} if section is True else section)
    return make_pruner(values["trainer"].get("max_epochs"), dict(settings))


def _foreign(job: FrozenJob, folder: Path) -> Problem:
    message = f"job {job.number} in `{folder}` is not trial {job.number} of the study in `{JOURNAL}`"
    hint = f"bring back the `{JOURNAL}` that these jobs ran with, or search in a new folder"
    return Problem("MF082", str(folder / job.file), message, hint)


def _edited(number: int, keys: Sequence[str]) -> Problem:
    message = f"config files are no longer what trial {number} ran with, in {listed(keys, 3, quote='`')}"
    hint = "restore them, or search in a new folder: trials of other configs do not compare"
    return Problem("MW213", "sweep.resume", message, hint, severity="warning")


def _begun(folder: Path, given: Sequence[str]) -> Sequence[str]:
    """The overrides of a search: of one that goes on, those that it began with, and what the command line adds.

    Raises:
        ForgeError: what it adds would make other trials, or the folder holds a sweep that is no search.
    """
    if not (folder / SWEEP_FILE).is_file():
        return given
    sweep = read_sweep_file(folder)
    if sweep.jobs:
        message = f"the sweep in `{folder}` has a list of jobs, and is no search"
        raise ForgeError([Problem("MF077", "hydra/sweeper", message, f"`{way_on(folder)}` goes on with it")])
    before = sweep.overrides
    check_search_resuming(before, given)
    return [*before, *(word for word in given if word not in before and not word.startswith("sweep.resume="))]


def _jobs(folder: Path) -> Iterator[FrozenJob]:
    """The jobs of a search that its folder holds."""
    for path in sorted((folder / JOBS_FOLDER).glob("*.yaml")):
        with suppress(ForgeError, ValueError):  # another process writes it just now; or it is damaged
            yield read_job(folder, int(path.stem))


def _make_folder(folder: Path, overrides: Sequence[str], space: Space) -> None:
    """Writes sweep.json, unless this process takes part in a search that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / LOCK, timeout=TURN):
        if (folder / SWEEP_FILE).is_file():
            check_search_resuming(read_sweep_file(folder).overrides, overrides)  # another may have begun it just now
            return
        remove_unfinished_freeze(folder)
        check_empty(folder)
        make_jobs_folder(folder)
        write_sweep_file(new_sweep_file(overrides, {key: (text,) for key, text in space.described().items()}), folder)
