"""claimed: a run folder belongs to one process at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from modelforge.errors import ForgeError, Problem


@contextmanager
def claimed(folder: Path) -> Generator[None]:
    """Keeps other runs out of a folder while its body lasts. However the process ends, the claim ends with it.

    Raises:
        ForgeError: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        message = f"another run is writing to `{folder}`"
        hint = "wait for it, or choose another folder"
        raise ForgeError([Problem("MF051", "hydra.run.dir", message, hint)]) from None
    try:
        yield
    finally:
        lock.release()
