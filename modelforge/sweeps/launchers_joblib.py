"""`hydra/launcher=joblib`: workers that import PyTorch while the jobs are composed, and that end with their parent."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import active_children
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_joblib_launcher._core import process_joblib_cfg
from joblib import Parallel, delayed
from omegaconf import DictConfig

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.lazy_extras import import_extras_late
from modelforge.core.quoting import sentence
from modelforge.results.collect import run_folders
from modelforge.runs.liveness import SILENCE, silence
from modelforge.runs.status import read_state
from modelforge.sweeps.interrupts import held_back, let_through

PERIOD = 0.5
"""Seconds between two looks at the parent."""
NEEDED = "modelforge.train.fit"
"""What each job imports."""
STOPPING = 30.0
"""Seconds that jobs have at Ctrl-C to stop where they can be resumed; then their workers are ended."""


_working = threading.Lock()
"""Held by a worker while it runs a job."""
_stopping = threading.Event()
"""Set in a worker by Ctrl-C: it takes no job then, and waits for its end."""


@contextmanager
def early_workers(launcher: DictConfig, number: int) -> Generator[Callable[[], object]]:
    """Starts the workers of a pool, which the launcher takes over; gives a function that waits for the first of them.

    Call it before the launcher begins: joblib removes the folder of a pool at its end, and both pools have the same.
    Workers that no launcher took over end with the body.

    Args:
        launcher: The settings of `hydra.launcher`.
        number: How many: with another one, the launcher would start a pool of its own.
    """
    settings: dict[str, Any] = {str(key): value for key, value in launcher.items() if key != "_target_"}
    with _workers({**own_settings(settings), "n_jobs": number}) as begun:
        yield lambda: _exhaust(begun)


@contextmanager
def _workers(settings: Mapping[str, Any]) -> Generator[Generator[int]]:
    """The workers of a pool, new ones unless those of the same settings live; from their first instruction on, they
    leave Ctrl-C to this process. They end with the body, unless what it is given is exhausted.

    Raises:
        ForgeError: joblib refuses the settings.
    """
    ensure_running()  # of Python's own process for semaphores, whose start would let signals through
    try:
        pool: Any = Parallel(**{**settings, "backend": "loky", "return_as": "generator"})
        with held_back():
            begun = pool(delayed(os.getpid)() for _ in range(settings["n_jobs"]))
    except (ValueError, TypeError) as error:
        raise ForgeError(
            [Problem("MF077", "hydra.launcher", f"joblib refuses its settings: {sentence(error)}")]
        ) from error
    try:
        yield begun
    finally:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of results that were not used
            begun.close()


def _exhaust(begun: Generator[int]) -> None:
    with suppress(Exception):  # a worker that cannot start is a problem of the launcher's jobs
        deque(begun, maxlen=0)


def own_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a pool, with what its workers do first."""
    own = {**settings, "initializer": begin, "initargs": (os.getpid(),)}
    process_joblib_cfg(own)
    return own


class Pool(Launcher):
    """Hydra's launcher, whose workers begin as `early_workers` do; it takes over those that have begun."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        inner.joblib = own_settings(inner.joblib)
        inner.task_function = WhileParentLives(inner.task_function, os.getpid())

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps nothing: Hydra's has all."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs all of these jobs."""
        with _workers(self.inner.joblib) as begun:
            _exhaust(begun)
        with _interrupted_after_jobs(Path(str(self.inner.config.hydra.sweep.dir))):
            return self.inner.launch(job_overrides, initial_job_idx)


@contextmanager
def _interrupted_after_jobs(folder: Path) -> Generator[None]:
    """Ctrl-C stops the jobs of the workers; joblib would end all of them at once, and with them what jobs still save.

    Args:
        folder: Of the sweep; while one of its jobs runs, its body is not interrupted, unless by a second Ctrl-C.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # it is ignored, or not ours
        yield
        return

    def wait(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for worker in active_children():  # where `kill` sent it to this process alone, they do not know of it
            with suppress(OSError):
                assert worker.pid is not None, "it was started"
                os.kill(worker.pid, signal.SIGINT)
        end = time.monotonic() + STOPPING
        while time.monotonic() < end and any(read_state(run) == "running" for run in _fresh(folder)):
            time.sleep(PERIOD)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _fresh(folder: Path) -> Iterator[Path]:
    """The folders of jobs that may be running: of ten thousand, those with a heartbeat."""
    for run in run_folders(folder):
        with suppress(OSError):
            if silence(run) < SILENCE:
                yield run


def begin(parent: int) -> None:
    """Prepares a worker. Ctrl-C is the parent's until the first job begins."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, and stays so
        signal.signal(signal.SIGINT, leave_to_parent)
    let_through()
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    import_extras_late()
    import_module(NEEDED)


def leave_to_parent(number: int, frame: FrameType | None) -> None:
    """What a worker without a job does at Ctrl-C."""
    _stopping.set()


def end_with(parent: int) -> None:
    """Ends this process once its parent is gone.

    A job is first asked to stop, as soon as it listens, and has the time to write its checkpoint and its status.
    """
    while os.getppid() == parent:
        time.sleep(PERIOD)
    asked = False
    while not _working.acquire(timeout=PERIOD):
        if not asked and signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            os.kill(os.getpid(), signal.SIGTERM)
            asked = True
    os._exit(128 + signal.SIGTERM)


@dataclass(frozen=True)
class WhileParentLives:
    """What a job does, unless the process that launched it is gone: a worker takes further jobs from its queue."""

    task: Callable[[Any], Any]
    parent: int

    def __call__(self, config: Any) -> Any:
        if self.parent not in (os.getpid(), os.getppid()):
            os._exit(128 + signal.SIGTERM)
        self._wait_if_stopping()
        is_ours = signal.getsignal(signal.SIGINT) is leave_to_parent
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with _working:
                return self.task(config)
        except (KeyboardInterrupt, SystemExit) as error:
            if isinstance(error, KeyboardInterrupt) or error.code == 128 + signal.SIGINT:
                _stopping.set()
            ended = error
        finally:
            if is_ours:
                signal.signal(signal.SIGINT, leave_to_parent)
        self._wait_if_stopping()
        raise ended

    def _wait_if_stopping(self) -> None:
        """After Ctrl-C, waits for the parent to end this worker: to end by itself would end the others, too."""
        if _stopping.is_set() and self.parent != os.getpid():
            time.sleep(STOPPING)
        _stopping.clear()
