"""Ctrl-C while other processes start: it reaches all of them, and those that still import would print tracebacks."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def held_back() -> Generator[None]:
    """Processes that start in its body hold Ctrl-C back until they `let_through`; this thread does until its end."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_through() -> None:
    """Ends what `held_back` began in the process that started this one; a Ctrl-C since then takes effect now."""
    if os.name == "posix":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
