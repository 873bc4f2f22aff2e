"""Process-wide settings of torch and Python: standard ones for the body of a `with`, put back whatever happens.

Threads that change such a setting at the same time would put back each other's, so all of modelforge takes turns here.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, nullcontext

import torch

_TURN = threading.RLock()


def num_cores() -> int:
    """The cores that this process may use, where the system says; else all there are."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


@contextmanager
def standard_settings() -> Generator[None]:
    """New tensors are float32 on the CPU unless they say otherwise, whatever the process has set; one thread at a time.

    Work that the body hands to other threads must not come here, or it would wait for the body for ever.
    """
    with _TURN, ExitStack() as stack:
        if (dtype := torch.get_default_dtype()) is not torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def threads(number: int | None) -> Generator[None]:
    """Sets the number of torch's threads on the CPU for its body; None leaves it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Generator[None]:
    """Keeps torch to one thread: the last bits of a matrix product or factorisation depend on their number.

    torch's number belongs to each thread, and a new thread inherits the one that was set last. A number of one
    is left as it is: it may be inherited from a thread that will restore its own.
    """
    with nullcontext() if torch.get_num_threads() == 1 else threads(1):
        yield


@contextmanager
def uncollected() -> Generator[None]:
    """Keeps the collector of reference cycles from running, for what makes many objects that all live on.

    It would go through all of them again and again, and the time for n of them would grow faster than n.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def without_onednn() -> Generator[None]:
    """Torch's own kernels. `torch.backends.mkldnn.flags` also sets what warns on most machines."""
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    try:
        yield
    finally:
        torch.backends.mkldnn.enabled = before
