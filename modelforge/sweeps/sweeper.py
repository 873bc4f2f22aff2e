"""`FreezingSweeper`: does what Hydra's basic one does, for jobs that are checked and frozen before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from modelforge.config.sweeps import read_sweep
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.words import plural
from modelforge.report.stream import complain, exiting
from modelforge.runs.jobs import JobEntry, read_job
from modelforge.runs.liveness import LOCK, claimed
from modelforge.runs.status import read
from modelforge.sweeps.check import Checker
from modelforge.sweeps.freezing import Shared, busy, check_empty, equal_jobs, freeze, frozen_jobs
from modelforge.sweeps.frozen_loader import FrozenLoader, words_for
from modelforge.sweeps.launchers import make_launcher, run_all
from modelforge.sweeps.resume import check_resuming, resumed, said
from modelforge.sweeps.selection import select
from modelforge.train.settings import parse_sweep
from modelforge.train.terminal import say


class FreezingSweeper(Sweeper):
    """Takes the place of `basic` in conf/hydra/default.yaml; launchers run the frozen jobs as any others.

    Args:
        max_batch_size: Jobs that a launcher gets at a time; None for all.
        params: Values that files name, by key.
    """

    def __init__(self, max_batch_size: int | None = None, params: Mapping[str, Any] | None = None) -> None:
        self.max_batch_size = max_batch_size
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Has the launcher ask us for the configs of jobs."""
        self.loader = FrozenLoader(Path(str(config.hydra.sweep.dir)), hydra_context.config_loader)
        context = HydraContext(config_loader=self.loader, callbacks=hydra_context.callbacks)
        self.hydra_context, self.task, self.config = context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Runs all jobs, or those without a result of the sweep that is resumed."""
        assert self.config is not None
        folder = self.loader.folder
        with exiting():
            resume = OmegaConf.select(self.config, "sweep.resume")
            try:
                with claimed(folder, busy(folder)):
                    jobs = self._frozen(folder, arguments) if resume is None else _resumed(folder, arguments)
                    self._launched(jobs)
            except ForgeError:
                _remove_if_empty(folder)
                raise

    def _frozen(self, folder: Path, arguments: Sequence[str]) -> Sequence[JobEntry]:
        """Checks and freezes what the command line asks for."""
        assert self.config is not None
        check_empty(folder)
        conf, name = main_config(self.config)
        every = [*map(str, self.config.hydra.overrides.hydra), *arguments]
        sweep = read_sweep(conf, every)
        settings = parse_sweep(sweep.settings)
        shared = Shared()
        selection = select(sweep, settings, conf, name, Checker().check, shared.kept, datetime.now())
        jobs, equal = frozen_jobs(selection.jobs)
        for problem in (*selection.warnings, *equal_jobs(equal)):
            complain(problem)
        freeze(folder, jobs, sweep, selection, settings, every)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        if selection.left_out or equal or selection.num_excluded:
            say(f"{plural(len(jobs), 'job')} of {sweep.num_jobs:,} combinations")
        return [job.entry for job in jobs]

    def _launched(self, jobs: Sequence[JobEntry]) -> None:
        """Runs jobs, batch by batch; what became of them is in their statuses."""
        assert self.hydra_context is not None
        assert self.config is not None
        if not jobs:
            return
        folder, by_number = self.loader.folder, {job.number: job for job in jobs}
        launcher = make_launcher(self.hydra_context, self.task, self.config, _num_threads(folder, jobs))

        def status_of(number: int) -> Mapping[str, Any]:
            with suppress(OSError, ValueError, LookupError, TypeError):
                return read(folder / by_number[number].folder)
            return {}

        launched = list(zip(by_number, words_for(jobs), strict=True))
        most = self.max_batch_size or len(launched)
        for begin in range(0, len(launched), most):
            run_all(launcher, launched[begin : begin + most], status_of)


def _remove_if_empty(folder: Path) -> None:
    """Removes the folder of a sweep that is refused, and empty ones around it, up to the working folder."""
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
        for place in (folder, *folder.parents):
            if not place.is_relative_to(Path.cwd()) or place == Path.cwd():
                break
            place.rmdir()


def _num_threads(folder: Path, jobs: Sequence[JobEntry]) -> int | None:
    """The threads of the job that has the most; None for one a core."""
    own = [job for job in jobs if any(word.startswith("num_threads=") for word in job.overrides)]
    numbers = [read_job(folder, job.number).config.get("num_threads") for job in own or jobs[:1]]
    known = [number for number in numbers if number is not None]
    return max(known) if len(known) == len(numbers) else None


def main_config(config: DictConfig) -> tuple[Path, str]:
    """The folder of configs of a running Hydra program, and the name of its primary config.

    Raises:
        ForgeError: configs come from several folders that the command line names.
    """
    sources = [(source.provider, source.schema, source.path) for source in config.hydra.runtime.config_sources]
    folders = [path for provider, schema, path in sources if schema == "file" and provider == "main"]
    if len(folders) != 1 or any(provider == "command-line" for provider, _, _ in sources):
        message = "a sweep composes its jobs from one folder of configs, and takes no `--config-dir`"
        hint = "write `hydra.searchpath` in config.yaml, or choose `hydra/sweeper=basic`, which freezes no jobs"
        raise ForgeError([Problem("MF077", "--config-dir", message, hint)])
    return Path(folders[0]), str(config.hydra.job.config_name)


def _resumed(folder: Path, arguments: Sequence[str]) -> Sequence[JobEntry]:
    check_resuming(arguments)
    sweep, jobs, warnings = resumed(folder)
    for warning in warnings:
        complain(warning)
    say(said(folder, sweep, jobs))
    return jobs
