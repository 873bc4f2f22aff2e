"""plain_file: a path → what the file holds, if it is a regular one of bounded size."""

from __future__ import annotations

import os
import stat
from os import PathLike

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISREG, ""),
)


def read_bytes(path: str | PathLike[str], max_bytes: int) -> bytes:
    """What a regular file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: there is something else than a file, or it is larger.
    """
    _check_regular(os.stat(path).st_mode)  # opening a device can do things
    # A pipe that has come into its place since would be waited for.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        _check_regular(os.fstat(descriptor).st_mode)
        read = file.read(max_bytes + 1)
    if len(read) > max_bytes:
        raise ValueError(f"it has more than {max_bytes:,} bytes")
    return read


def _check_regular(mode: int) -> None:
    if kind := next((kind for is_one, kind in _KINDS if is_one(mode)), "a device"):
        raise ValueError(f"it is {kind}, not a file")
