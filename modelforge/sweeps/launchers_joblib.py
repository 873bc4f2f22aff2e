"""`hydra/launcher=joblib`: workers that import PyTorch while the jobs are composed, and that end with their parent."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from types import FrameType
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra_plugins.hydra_joblib_launcher._core import process_joblib_cfg
from joblib import Parallel, delayed
from omegaconf import DictConfig

from modelforge.core.later import put_off_extras

PERIOD = 0.5
"""Seconds between two looks at the parent."""
NEEDED = "modelforge.train.fit"
"""What each job imports."""


_working = threading.Lock()
"""Held by a worker while it runs a job."""


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
    process_joblib_cfg(settings)
    settings |= {"n_jobs": number, "backend": "loky", "return_as": "generator"}
    pool: Any = Parallel(**own_settings(settings))
    begun = pool(delayed(os.getpid)() for _ in range(number))
    try:
        yield lambda: _exhaust(begun)
    finally:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of results that were not used
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
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, and stays so
        signal.signal(signal.SIGINT, leave_to_parent)
    threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    put_off_extras()
    import_module(NEEDED)


def leave_to_parent(number: int, frame: FrameType | None) -> None:
    """What a worker without a job does at Ctrl-C."""


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
        if signal.getsignal(signal.SIGINT) is leave_to_parent:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with _working:
            return self.task(config)
