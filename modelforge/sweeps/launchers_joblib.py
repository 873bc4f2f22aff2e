"""`hydra/launcher=joblib`: workers that import PyTorch while the jobs are composed, and that end with their parent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra_plugins.hydra_joblib_launcher._core import process_joblib_cfg
from joblib import Parallel, delayed
from omegaconf import DictConfig

from modelforge.core.torch_state import num_cores
from modelforge.train.later import put_off_extras

PERIOD = 0.5
"""Seconds between two looks at the parent."""
NEEDED = "modelforge.train.fit"
"""What each job imports."""


@contextmanager
def early_workers(launcher: DictConfig) -> Generator[Callable[[], object]]:
    """Starts the workers of a pool, which the launcher takes over; gives a function that waits until they have begun.

    Call it before the launcher begins: joblib removes the folder of a pool at its end, and both pools have the same.
    Workers that no launcher took over end with the body.

    Args:
        launcher: The settings of `hydra.launcher`.
    """
    number = num_cores() if launcher.n_jobs == -1 else launcher.n_jobs
    settings: dict[str, Any] = {str(key): value for key, value in launcher.items() if key != "_target_"}
    process_joblib_cfg(settings)
    settings |= {"n_jobs": number, "backend": "loky", "return_as": "generator"}
    pool: Any = Parallel(**own_settings(settings))
    begun = pool(delayed(os.getpid)() for _ in range(number))
    try:
        yield lambda: _exhaust(begun)
    finally:
        begun.close()


def _exhaust(begun: Generator[int]) -> None:
    with suppress(Exception):  # a worker that cannot start is a problem of the launcher's jobs
        deque(begun, maxlen=0)


def own_settings(settings: Mapping[str, Any]) -> Any:
    """The settings of a pool, with what its workers do first."""
    return {**settings, "initializer": begin, "initargs": (os.getpid(),)}


def make_pool(launcher: Any) -> Launcher:
    """Hydra's launcher, whose workers begin as `early_workers` do."""
    launcher.joblib = own_settings(launcher.joblib)
    launcher.task_function = WhileParentLives(launcher.task_function, os.getpid())
    return launcher


def begin(parent: int) -> None:
    """Prepares a worker. Ctrl-C is the parent's until the first job begins."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    put_off_extras()
    import_module(NEEDED)
    signal.signal(signal.SIGINT, before)


def end_with(parent: int) -> None:
    """Ends this process once its parent is gone; a job is first asked to stop, so that it can be resumed."""
    while os.getppid() == parent:
        time.sleep(PERIOD)
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        os.kill(os.getpid(), signal.SIGTERM)
    while signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        time.sleep(PERIOD)
    os._exit(128 + signal.SIGTERM)


@dataclass(frozen=True)
class WhileParentLives:
    """What a job does, unless the process that launched it is gone: a worker takes further jobs from its queue."""

    task: Callable[[Any], Any]
    parent: int

    def __call__(self, config: Any) -> Any:
        if self.parent not in (os.getpid(), os.getppid()):
            os._exit(128 + signal.SIGTERM)
        return self.task(config)
