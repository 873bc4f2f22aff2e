"""Whether a run goes on: the lock of its folder, and a heartbeat for who cannot see the lock.

A process that ends, however it does, lets its lock go. Other machines on a shared file system may not see a lock, and
some systems have none that can be looked at: there, the time of status.json counts, which a run renews.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelforge.core.errors import ForgeError, Problem

LOCK = ".lock"
"""The file that a run holds locked while it lasts; the system lets it go however the process ends."""
STATUS = "status.json"
BEAT = 20.0
"""Seconds between two renewals of the time of status.json."""
SILENCE = 180.0
"""Seconds without one after which a run counts as killed: a network file system shows a time up to a minute late."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def claimed(folder: Path, problem: Problem | None = None) -> Generator[None]:
    """Keeps other runs out of a folder while its body lasts. However the process ends, the claim ends with it.

    Args:
        folder: The folder, which is made if it is not there.
        problem: What to say where another process has it, if that is not a run.

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
        raise ForgeError([problem or Problem("MF051", "hydra.run.dir", message, hint)]) from None
    except OSError as error:
        message = f"`{folder}` cannot be a run's folder: {(error.strerror or str(error)).lower()}"
        raise ForgeError([Problem("MF058", "hydra.run.dir", message, "choose another folder")]) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def heartbeat(folder: Path, file: str = STATUS) -> Generator[None]:
    """Renews the time of status.json, or of another file, while its body lasts."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            with suppress(OSError):
                os.utime(folder / file)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def machine() -> str:
    """The running system: its containers have it in common, and after a restart it is another one."""
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return socket.gethostname()


def is_alive(folder: Path, on: str, file: str = STATUS) -> bool:
    """Whether the run in `folder` goes on.

    Args:
        folder: The run folder.
        on: The `machine` that it runs on. A lock that is free says that a run of this one is over.
        file: What its heartbeat renews.
    """
    held = _is_held(folder / LOCK)
    if held or (held is False and on == machine()):
        return bool(held)
    return silence(folder, file) < SILENCE


def silence(folder: Path, file: str = STATUS) -> float:
    """Seconds since the last heartbeat of the run in `folder`."""
    return time.time() - (folder / file).stat().st_mtime


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
