"""Hydra's launchers as engines of a sweep: how many jobs run at once, and what happens where a launcher gives up.

joblib ends all its workers when one is killed, and submitit waits no longer after the first job that left no result.
Such an exception is about one job; the others run all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from modelforge.config.sweeps import Sweep, running_sweep
from modelforge.core.errors import Problem
from modelforge.core.torch_state import num_cores
from modelforge.core.words import plural
from modelforge.report.stream import complain
from modelforge.sweeps.multirun import Multirun
from modelforge.sweeps.threads import most_written

Job = tuple[int, Sequence[str]]
"""The number and the overrides of a job."""
Jobs = Sequence[Job]
Statuses = Callable[[int], Mapping[str, Any]]
"""The status of the job of a number, as plain data; empty before it begins."""
KINDS = MappingProxyType(
    {
        "BasicLauncher": "basic",
        "JoblibLauncher": "joblib",
        "LocalLauncher": "submitit_local",
        "SlurmLauncher": "submitit_slurm",
        "RayLauncher": "ray",
    }
)
"""The classes of Hydra's launchers, by their names, with the option of `hydra/launcher` that chooses each."""
PATIENCE = 10.0
"""Seconds in which the workers of a broken pool end."""


class RayLauncher(Launcher):
    """`hydra/launcher=ray`; `launchers_ray` is imported where jobs are launched."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what each job is run with."""
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """Runs all of these jobs."""
        from modelforge.sweeps.launchers_ray import launch

        jobs = list(enumerate(job_overrides, initial_job_idx))
        return launch(self.context, self.task, self.config, jobs, self.settings)


class NoLauncher(Launcher):
    """`hydra/launcher=none`: jobs are frozen, and others run them."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps nothing."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        """Runs nothing."""
        return []


def make_launcher(multirun: Multirun, num_threads: int | None, num_jobs: int) -> Launcher:
    """Hydra's launcher for a multirun.

    Args:
        multirun: What a job does, and the settings of the launcher.
        num_threads: Of the job that has the most; None for one a core.
        num_jobs: How many jobs there are at most.
    """
    for problem in fit_to_cores(multirun.config, num_threads, num_jobs):
        complain(problem)
    launcher: Any = Plugins.instance().instantiate_launcher(multirun.context, multirun.task, multirun.config)
    kind = _kind(multirun.config.hydra.launcher)
    if kind == "joblib":
        from modelforge.sweeps.launchers_joblib import Pool

        return Pool(launcher)
    if kind.startswith("submitit"):
        from modelforge.sweeps.launchers_submitit import waiting

        return waiting(launcher)
    return launcher


def start_early(config: DictConfig) -> AbstractContextManager[Callable[[], object]]:
    """What an engine does while the jobs are composed; its function is called before they are launched.

    Nothing where a sweep goes on: its jobs need not be composed. Nor where a swept option may bring `num_threads`: how
    many workers there are is then known once the jobs are composed, and a pool of another size would be of no use.

    Args:
        config: Of the multirun.

    Raises:
        ForgeError: its overrides cannot be read.
    """
    settings = config.hydra.launcher
    if _kind(settings) == "joblib" and settings.n_jobs != 1 and OmegaConf.select(config, "sweep.resume") is None:
        sweep = running_sweep(config)
        number = jobs_at_once(settings.n_jobs, _threads(config, sweep), sweep.num_jobs)
        if number != 1 and not _options_set_threads(config, sweep):
            from modelforge.sweeps.launchers_joblib import early_workers

            return early_workers(settings, number)
    return nullcontext(lambda: None)


def _threads(config: DictConfig, sweep: Sweep) -> int | None:
    """The threads of the job that has the most, as the command line has it; None for one a core."""
    words = [word for axis in sweep.axes if axis.name == "num_threads" for word in axis.words]
    return most_written([word.partition("=")[2] for word in words] or [OmegaConf.select(config, "num_threads")])


def _options_set_threads(config: DictConfig, sweep: Sweep) -> bool:
    """Whether the command line leaves `num_threads` to the options of a group that is swept, and a file names it."""
    swept = [axis.name.partition("@")[0] for axis in sweep.axes if len(axis.words) > 1]
    sources = OmegaConf.select(config, "hydra.runtime.config_sources") or ()
    folders = [Path(source.path) for source in sources if source.schema == "file"]
    if any(axis.name == "num_threads" for axis in sweep.axes):
        return False
    if not any((folder / group).is_dir() for folder in folders for group in swept):
        return False
    primary = f"{config.hydra.job.config_name}.yaml"
    files = (path for folder in folders for path in folder.rglob("*.yaml") if path != folder / primary)
    return any(b"num_threads" in path.read_bytes() for path in files if path.is_file())


def jobs_at_once(n_jobs: int, num_threads: int | None, num_jobs: int) -> int:
    """The workers of a pool of joblib: as many as there are jobs and, where `n_jobs` is below 0, as their threads fit.

    As joblib has it, -1 stands for all cores, -2 for all but one, and so on.

    Two at least where more are possible: one worker would be this process, which a job could take along at its end.
    """
    fitting = max(1, (num_cores() + 1 + n_jobs) // (num_threads or 1)) if n_jobs < 0 else n_jobs
    return min(fitting, max(2, num_jobs))


def fit_to_cores(config: DictConfig, num_threads: int | None, num_jobs: int) -> Iterator[Problem]:
    """Sets how many jobs run at once, where that is left open, so that their threads fit the cores of this machine.

    Args:
        config: Of the multirun; its `hydra.launcher` is changed.
        num_threads: Of the job that has the most; None for one a core, of which each job then gets its share.
        num_jobs: How many jobs there are at most.

    Yields:
        A warning where what was set takes more threads than there are cores.
    """
    launcher, cores = config.hydra.launcher, num_cores()
    kind, threads = _kind(launcher), num_threads or 1
    with open_dict(launcher):
        if kind == "joblib":
            is_open = launcher.n_jobs < 0
            launcher.n_jobs = jobs_at_once(launcher.n_jobs, num_threads, num_jobs)
            if not is_open and launcher.n_jobs * threads > cores:
                yield _crowded(launcher.n_jobs, threads, cores)
        elif kind in ("submitit_local", "submitit_slurm") and launcher.cpus_per_task is None:
            launcher.cpus_per_task = threads
        elif kind == "ray":
            launcher.num_cpus = launcher.num_cpus or threads
            launcher.total_cpus = launcher.total_cpus or (cores if launcher.address is None else None)


def run_all(launcher: Launcher, jobs: Jobs, status_of: Statuses) -> None:
    """Launches jobs and waits until none of them runs, whatever becomes of some of them; their statuses say what did.

    Where a pool of workers breaks, the jobs that have not begun are launched again. Those that were killed with it are
    begun again afterwards, one at a time: the one that breaks a pool then does so alone.

    Args:
        launcher: Hydra's, which may number the jobs as it likes: what a job is follows from its overrides.
        jobs: What to run.
        status_of: Reads the status of a job.
    """
    rest, killed = list(jobs), list[Job]()
    while rest:
        before = {number: _begun(status_of(number)) for number, _ in rest}
        if _launched(launcher, rest):
            break
        ended = {number for number, _ in rest if _begun(status_of(number)) != before[number]}
        if not ended:  # no worker could even start
            break
        killed += [job for job in rest if job[0] in ended and _is_killed(job[0], status_of)]
        rest = [job for job in rest if job[0] not in ended]
    for job in killed:
        _launched(launcher, [job])


def _launched(launcher: Launcher, jobs: Jobs) -> bool:
    """Whether all of these jobs came to an end; if not, the launcher has given up, and some may not have begun.

    A job that is stopped by a signal of its own ends joblib's workers too, as `SystemExit`.
    """
    if type(launcher).__name__ == BasicLauncher.__name__:  # Hydra imports it twice: `isinstance` fails
        for number, words in jobs:  # one by one: what a launcher returns holds the whole config of each job
            launcher.launch([words], number)
        return True
    try:
        launcher.launch([words for _, words in jobs], jobs[0][0])
    except (BrokenProcessPool, SystemExit):
        return False
    return True


def _begun(status: Mapping[str, Any]) -> str | None:
    return status.get("started")


def _is_killed(number: int, status_of: Statuses) -> bool:
    """Whether a job was killed with its pool, of which the last workers may take a moment to end."""
    deadline = time.monotonic() + PATIENCE
    while status_of(number).get("state") == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    return status_of(number).get("state", "killed") == "killed"  # none: after its folder was cleared for a new attempt


def _kind(launcher: DictConfig) -> str:
    """Which of the launchers that we know these settings are for; empty for any other."""
    return KINDS.get(str(launcher.get("_target_", "")).rpartition(".")[2], "")


def _crowded(num_jobs: int, num_threads: int, num_cores: int) -> Problem:
    threads = plural(num_threads, "thread")
    message = f"{num_jobs} jobs at once with {threads} each are more than this machine has cores ({num_cores})"
    hint = f"`hydra.launcher.n_jobs={max(1, num_cores // num_threads)}`, or fewer threads: `num_threads=1`"
    return Problem("MW224", "hydra.launcher.n_jobs", message, hint, severity="warning")
