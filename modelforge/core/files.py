"""Files that are written whole or not at all: a reader, or a kill, meets the old file or the new one."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from modelforge.core.errors import ForgeError, Problem

RUN = "hydra.run.dir"
SWEEP = "hydra.sweep.dir"
LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}")
"""The name of a temporary file: that of the file, and what `tempfile` adds."""


def write_atomically(path: Path, content: str | bytes, key: str = RUN) -> None:
    """Puts a text or bytes into a file as `replacing` does.

    Raises:
        ForgeError: it cannot be written.
    """
    with replacing(path, key) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(path: Path, key: str = RUN) -> Generator[BinaryIO]:
    """A temporary file beside `path` for its body to write, flushed to the disk and renamed after it.

    Args:
        path: The file.
        key: The override key of the folder that it is for.

    Raises:
        ForgeError: it cannot be written; what was there before is there still.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if reason := why_unwritable(error):
            raise ForgeError([unwritable(str(path), reason, key)]) from error
        raise


def why_unwritable(error: BaseException) -> str:
    """Why the system refuses to write, in words; empty where that is not what an error says."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    # torch wraps a failure to write in an error of its own.
    cause = error.__context__ if isinstance(error, RuntimeError) else None
    if isinstance(cause, OSError):
        return why_unwritable(cause)
    return "the disk is full or cannot be written" if "file write failed" in str(error) else ""


def unwritable(path: str, reason: str, key: str = RUN, hint: str = "make room, or choose another folder") -> Problem:
    """The problem of a file or folder that cannot be written."""
    if key == RUN:
        hint += "; a run is resumed with `ckpt=.../checkpoints/last.ckpt`"
    return Problem("MF058", key, f"`{path}` cannot be written: {reason}", hint)


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files that a killed process left below a folder to which no process writes."""
    for path in folder.rglob(".*"):
        if LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)
