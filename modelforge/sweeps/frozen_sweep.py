"""run: what a command line asks for → the jobs of a sweep, checked, frozen and launched; or those of a resumed one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from modelforge.config.composition import plain
from modelforge.config.sweeps import read_sweep, running_sweep
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import SWEEP, write_atomically
from modelforge.core.quoting import quoted
from modelforge.core.words import plural
from modelforge.report.stream import complain
from modelforge.runs.jobs import JobEntry
from modelforge.runs.liveness import LOCK, claimed
from modelforge.runs.status import read
from modelforge.sweeps.check import Checker
from modelforge.sweeps.freezing import (
    Shared,
    busy,
    check_empty,
    equal_jobs,
    freeze,
    frozen_jobs,
    remove_unfinished_freeze,
)
from modelforge.sweeps.frozen_loader import words_for
from modelforge.sweeps.kept import check_kept
from modelforge.sweeps.launchers import make_launcher, run_all
from modelforge.sweeps.multirun import Multirun
from modelforge.sweeps.resume import check_resuming, resumed, saying_how_to_go_on, to_do, way_on
from modelforge.sweeps.selection import select
from modelforge.sweeps.threads import configs_of, most_threads
from modelforge.train.settings import parse_sweep
from modelforge.train.terminal import say


def run(
    multirun: Multirun,
    max_batch_size: int | None = None,
    begun: Callable[[], object] = lambda: None,
) -> None:
    """Runs all jobs, or those without a result of the sweep that is resumed.

    Args:
        multirun: The folder, the config and the command line.
        max_batch_size: Jobs that a launcher gets at a time; None for all.
        begun: Called before the first is launched.

    Raises:
        ForgeError: a job is wrong, the folder holds something else, or another process runs the sweep.
    """
    folder, config, arguments = multirun.folder, multirun.config, multirun.arguments
    resumes = OmegaConf.select(config, "sweep.resume") is not None
    with claimed(folder, busy(folder)), _removing_if_empty(folder):
        _check_batch_size(max_batch_size)
        every = [*hydra_overrides(config), *arguments]
        jobs, threads = _resumed(folder, every) if resumes else _frozen(folder, config, every)
        if jobs:
            with saying_how_to_go_on(lambda: way_on(folder)):
                most = len(jobs) if resumes else running_sweep(config).num_jobs  # as `start_early` counts them
                launcher = make_launcher(multirun, threads, most)
                begun()
                _launch(launcher, folder, jobs, max_batch_size or len(jobs))


def _check_batch_size(size: object) -> None:
    """Refuses a size that Hydra takes as it is."""
    if size is not None and not (isinstance(size, int) and size > 0):
        key = "hydra.sweeper.max_batch_size"
        message = f"`{key}` must be a whole number above 0, or null for all jobs, but is {quoted(size)}"
        raise ForgeError([Problem("MF001", key, message)])


def _frozen(folder: Path, config: DictConfig, every: Sequence[str]) -> tuple[Sequence[JobEntry], int | None]:
    """Checks and freezes what the command line asks for; with the threads of the job that has the most."""
    remove_unfinished_freeze(folder)
    check_empty(folder)
    conf, name = main_config(config)
    sweep = read_sweep(conf, every)
    settings = parse_sweep(sweep.settings)
    selection = select(sweep, settings, conf, name, Checker().check, Shared().kept, datetime.now())
    jobs, equal = frozen_jobs(selection.jobs)
    for problem in (*selection.warnings, *equal_jobs(equal)):
        complain(problem)
    freeze(folder, jobs, sweep, selection, settings, every)
    write_atomically(folder / "multirun.yaml", OmegaConf.to_yaml(config), SWEEP)
    if len(jobs) != sweep.num_jobs:
        say(f"{plural(len(jobs), 'job')} of {sweep.num_jobs:,} combinations")
    return [job.entry for job in jobs], most_threads(job.config for job in jobs)


def _launch(launcher: Launcher, folder: Path, jobs: Sequence[JobEntry], most: int) -> None:
    """Runs jobs, batch by batch; what became of them is in their statuses."""
    by_number = {job.number: job for job in jobs}

    def status_of(number: int) -> Mapping[str, Any]:
        with suppress(OSError, ValueError, LookupError, TypeError):
            return read(folder / by_number[number].folder)
        return {}

    launched = list(zip(by_number, words_for(jobs), strict=True))
    for begin in range(0, len(launched), most):
        run_all(launcher, launched[begin : begin + most], status_of)


@contextmanager
def _removing_if_empty(folder: Path) -> Generator[None]:
    """Removes the folder of a sweep that froze no job, and empty ones around it, up to the working folder.

    Only who has claimed the folder may: until its first job is frozen, that of a running sweep looks as empty.
    """
    try:
        yield
    except (ForgeError, KeyboardInterrupt):
        with suppress(OSError):
            if [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()
            for place in (folder, *folder.parents):
                if not place.is_relative_to(Path.cwd()) or place == Path.cwd():
                    break
                place.rmdir()
        raise


def hydra_overrides(config: DictConfig) -> list[str]:
    """Hydra's own overrides of a running program, as they were written: `${...}` in one is a job's to resolve."""
    return list(plain(config.hydra.overrides)["hydra"])


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


def _resumed(folder: Path, every: Sequence[str]) -> tuple[Sequence[JobEntry], int | None]:
    check_resuming(every)
    sweep, jobs, warnings = resumed(folder)
    for warning in warnings:
        complain(warning)
    say(to_do(folder, sweep, jobs))
    if open_jobs := {job.number for job in jobs}:
        check_kept(folder, [job for job in sweep.jobs if job.number not in open_jobs], say)
    return jobs, most_threads(configs_of(folder, jobs))
