"""is_alive: whether the process that writes to a run's folder still exists; a killed run leaves no word of its end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

LOCK = ".lock"
"""The file that a run holds locked while it lasts; the system lets it go however the process ends."""


def is_alive(folder: Path, host: str, pid: int) -> bool:
    """Whether the run in `folder` goes on. A run of another machine counts as alive.

    Args:
        folder: The run folder.
        host: Where the run began.
        pid: Its process, looked up where the folder has no lock.
    """
    held = _is_held(folder / LOCK)
    if held or host != socket.gethostname():
        return True
    return _exists(pid) if held is None else False


def _is_held(lock: Path) -> bool | None:
    """Whether a process holds it; None where that cannot be found out."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _exists(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
