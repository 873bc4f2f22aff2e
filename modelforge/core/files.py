"""Files that are written whole or not at all: a reader, or a kill, meets the old file or the new one."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.regular_files import NotRegular, kind_of

RUN = "hydra.run.dir"
SWEEP = "hydra.sweep.dir"
MARK = r"\.modelforge-[0-9a-f]{8}"
"""A pattern: what the name of a temporary file has behind a dot and the name of the file."""
LEFTOVER = re.compile(rf"\..+{MARK}")
"""The name of a temporary file."""


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

    A file that was there keeps its mode, and a link leads to the new one; a new file has what the umask leaves.

    Args:
        path: The file.
        key: The override key of the folder that it is for.

    Raises:
        ForgeError: it cannot be written; what was there before is there still.
    """
    temporary: Path | None = None
    try:
        target, mode = Path(os.path.realpath(path)), _mode(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target.with_name(f".{target.name}.modelforge-{token_hex(4)}"), "xb") as file:
            temporary = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
        os.replace(temporary, target)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if reason := why_unwritable(error):
            raise ForgeError([unwritable(str(path), reason, key)]) from error
        raise


def why_unwritable(error: BaseException) -> str:
    """Why the system refuses to write, in words; empty where that is not what an error says."""
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or os.strerror(error.errno)).lower()
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
        if LEFTOVER.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    """The mode of the file at `path`, None where there is none.

    Raises:
        NotRegular: something else is there, which a file would replace.
    """
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        return None
    if kind := kind_of(found):
        raise NotRegular(kind, str(path))
    return stat.S_IMODE(found)
