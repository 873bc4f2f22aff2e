"""uncollected: a while in which Python does not look for garbage."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


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
