"""claimed: a run folder belongs to one process at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from modelforge.core.errors import ForgeError, Problem
from modelforge.runs.alive import LOCK


@contextmanager
def claimed(folder: Path) -> Generator[None]:
    """Keeps other runs out of a folder while its body lasts. However the process ends, the claim ends with it.

    Raises:
        ForgeError: another process has it.
    """
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
