"""`hydra/launcher=submitit_local` and `submitit_slurm`: Hydra's plugin, but it waits for all jobs.

A job that failed ends its process with 1, so that the scheduler says FAILED.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import submitit
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher, LocalLauncher, SlurmLauncher
from omegaconf import OmegaConf
from submitit.core.utils import FailedJobError, UncompletedJobError

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import sentence
from modelforge.core.torch_state import num_cores
from modelforge.runs.status import DONE, read_state
from modelforge.sweeps.interrupts import held_back
from modelforge.sweeps.resume import way_on

POLL = 0.2
"""Seconds between two looks at the processes of this machine."""


class ExitStatus:
    """The status with which this process ends, once all that others do at its end is done.

    submitit's worker writes what a job returned and then ends with 0, whatever that was.
    """

    def __init__(self) -> None:
        self.code = 0
        atexit.register(self._leave)  # what is registered first is called last

    def _leave(self) -> None:
        if self.code:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


class Waiting(BaseSubmititLauncher):
    """Both launchers: the plugin's gives up at the first job that left no result, and ends each process with 0."""

    def __call__(self, *arguments: Any, **named: Any) -> JobReturn:
        """Runs one job, in a process of its own."""
        status = ExitStatus()
        returned = super().__call__(*arguments, **named)
        folder = Path(returned.hydra_cfg.hydra.runtime.output_dir)  # pyright: ignore[reportOptionalMemberAccess]  # it ran
        status.code = 0 if read_state(folder) in DONE else 1
        return returned

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Submits all jobs, and waits for each."""
        calls = [
            (list(words), "hydra.sweep.dir", number, f"job_id_for_{number}", Singleton.get_state())
            for number, words in enumerate(job_overrides, initial_job_idx)
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.submitting():
            executor = self._executor()
        return [_ended(job) for job in self.submit(executor, calls)]

    @property
    def folder(self) -> Path:
        """The sweep's."""
        return Path(str(self.config.hydra.sweep.dir))  # pyright: ignore[reportOptionalMemberAccess]  # set by `setup`

    @contextmanager
    def submitting(self) -> Generator[None]:
        """Around what hands jobs over, and not what waits for them.

        Raises:
            ForgeError: it fails, as without Slurm, or where `sbatch` refuses a setting.
        """
        try:
            yield
        except (OSError, RuntimeError, ValueError) as error:
            message = f"the jobs cannot be submitted: {sentence(error)}"
            hint = f"go on with `{way_on(self.folder)}`, perhaps with another launcher"
            raise ForgeError([Problem("MF077", "hydra/launcher", message, hint)]) from error

    def submit(self, executor: submitit.AutoExecutor, calls: list[Any]) -> list[submitit.Job[JobReturn]]:
        """All jobs at once, as one array of the scheduler, which runs at most `array_parallelism` of them at a time."""
        with self.submitting():
            return executor.map_array(self, *zip(*calls, strict=True))

    def _executor(self) -> submitit.AutoExecutor:
        """The plugin's: its settings as submitit names them."""
        shared = set(OmegaConf.structured(BaseQueueConf).keys())
        named = {key if key in shared else f"{self._EXECUTOR}_{key}": value for key, value in self.params.items()}
        if isinstance(self, SlurmLauncher) and (cores := named.get("cpus_per_task")):  # srun does not ask sbatch
            named["slurm_srun_args"] = [f"--cpus-per-task={cores}"]
        folder = named.pop("submitit_folder")
        timeout = f"{self._EXECUTOR}_max_num_timeout"
        first = {timeout: named.pop(timeout)} if timeout in named else {}
        executor = submitit.AutoExecutor(folder=folder, cluster=self._EXECUTOR, **first)
        executor.update_parameters(**named)
        return executor


class Local(Waiting, LocalLauncher):
    """Runs as many jobs at once as the cores of this machine allow; the plugin would begin all of them."""

    def __call__(self, *arguments: Any, **named: Any) -> JobReturn:
        """Runs one job; SIGTERM, which submitit leaves without effect, ends it before its training listens."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return super().__call__(*arguments, **named)

    def submit(self, executor: submitit.AutoExecutor, calls: list[Any]) -> list[submitit.Job[JobReturn]]:
        most = max(1, num_cores() // (self.params.get("cpus_per_task") or 1))
        waiting, jobs = deque(calls), list[Any]()
        try:
            while waiting:
                if sum(not job.done() for job in jobs) < most:
                    with self.submitting(), held_back():  # for good: Ctrl-C is handed on below
                        jobs.append(executor.submit(self, *waiting.popleft()))
                else:
                    time.sleep(POLL)
            while not all(job.done() for job in jobs):
                time.sleep(POLL)
        except KeyboardInterrupt:
            _stop(jobs)
            raise
        return jobs


def _stop(jobs: Sequence[submitit.Job[JobReturn]]) -> None:
    """Asks the jobs of this machine to stop where they can be resumed.

    At Ctrl-C itself, submitit's process between us and a job would print a traceback, and kill the job a second later.
    """
    for job in jobs:
        if not job.done():
            with suppress(ProcessLookupError):
                os.kill(int(job.job_id), signal.SIGTERM)


class Slurm(Waiting, SlurmLauncher):
    """One array of jobs."""


def waiting(launcher: BaseSubmititLauncher) -> Waiting:
    """The launcher of ours for one of the plugin's, with its settings."""
    kind = Local if type(launcher).__name__ == LocalLauncher.__name__ else Slurm
    ours = kind(**launcher.params)
    ours.config, ours.hydra_context, ours.task_function = (
        launcher.config,
        launcher.hydra_context,
        launcher.task_function,
    )
    return ours


def _ended(job: submitit.Job[JobReturn]) -> JobReturn:
    """What a job returned; of one whose process left nothing, the reason."""
    try:
        return job.results()[0]
    except (UncompletedJobError, FailedJobError) as error:
        lost = JobReturn(status=JobStatus.FAILED)
        lost.return_value = error
        return lost
