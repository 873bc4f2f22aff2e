"""The lock of a run folder: `claimed` holds it during a run, `is_alive` looks whether a process does."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from modelforge.core.errors import ForgeError, Problem

LOCK = ".lock"
"""The file that a run holds locked while it lasts; the system lets it go however the process ends."""


@contextmanager
def claimed(folder: Path) -> Generator[None]:
    """Keeps other runs out of a folder while its body lasts. However the process ends, the claim ends with it.

    Raises:
        ForgeError: another process has it.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Not at once: who only asks whether a run is alive holds it for a moment, too.
        lock = FileLock(folder / LOCK, timeout=0.5)
        lock.acquire()
    except Timeout:
        message = f"another run is writing to `{folder}`"
        hint = "wait for it, or choose another folder"
        raise ForgeError([Problem("MF051", "hydra.run.dir", message, hint)]) from None
    except OSError as error:
        message = f"`{folder}` cannot be a run's folder: {(error.strerror or str(error)).lower()}"
        raise ForgeError([Problem("MF058", "hydra.run.dir", message, "choose another folder")]) from error
    try:
        yield
    finally:
        lock.release()


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
