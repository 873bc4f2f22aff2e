"""regular: a path → a file open for reading, or its bytes; a pipe, a socket or a device is refused unopened.

What is wrong is an `OSError` whose `strerror` says so in words, as it does of a file that is not there.
"""

from __future__ import annotations

import errno
import os
import stat
from os import PathLike
from typing import BinaryIO

_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))


class NotRegular(OSError):
    """Something else lies there: `kind` says what."""

    def __init__(self, kind: str, path: str) -> None:
        super().__init__(errno.EINVAL, f"it is {kind}, not a file", path)
        self.kind = kind


class TooLarge(OSError):
    """A file holds more bytes than it may."""

    def __init__(self, max_bytes: int, path: str) -> None:
        super().__init__(errno.EFBIG, f"it holds more than {max_bytes:,} bytes", path)


def kind_of(mode: int) -> str:
    """What lies there by its `st_mode`, if that is not a regular file; empty where it is one.

    Example:
        >>> kind_of(os.stat(os.curdir).st_mode), kind_of(os.stat(os.devnull).st_mode), kind_of(stat.S_IFREG)
        ('a folder', 'a device', '')
    """
    if stat.S_ISREG(mode):
        return ""
    return next((kind for is_one, kind in _KINDS if is_one(mode)), "a device")


def check_regular(path: str | PathLike[str]) -> int:
    """Sees to it that a regular file lies at `path`, links followed; for libraries that open by name.

    Returns:
        Its size in bytes.

    Raises:
        OSError: there is none, or something else.
        ValueError: nothing can have this name.
    """
    found = os.stat(path)
    _check(found, path)
    return found.st_size


def open_regular(path: str | PathLike[str], *, links: bool = True) -> BinaryIO:
    """The regular file at `path`, open for reading, even if something else has come into its place on the way.

    Args:
        path: The file.
        links: Whether it may be a link to one.

    Raises:
        OSError: there is none, something else, or it may not be read.
        ValueError: nothing can have this name.
    """
    check_regular(path)  # to open a device can do things
    flags = ("O_NONBLOCK", "O_BINARY") if links else ("O_NONBLOCK", "O_BINARY", "O_NOFOLLOW")
    descriptor = os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
    try:
        _check(os.fstat(descriptor), path)
    except NotRegular:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_bytes(path: str | PathLike[str], max_bytes: int, *, links: bool = True) -> bytes:
    """What the regular file at `path` holds when it is opened.

    Raises:
        OSError: as `open_regular`, or it holds more than `max_bytes`; nothing of it is read then.
        ValueError: nothing can have this name.
    """
    with open_regular(path, links=links) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise TooLarge(max_bytes, os.fspath(path))
        return file.read(size)


def read_text(path: str | PathLike[str], max_bytes: int) -> str:
    """The same as text in UTF-8.

    Raises:
        OSError: as `read_bytes`.
        ValueError: it is not UTF-8, or nothing can have this name.
    """
    return read_bytes(path, max_bytes).decode("utf-8")


def _check(status: os.stat_result, path: str | PathLike[str]) -> None:
    if kind := kind_of(status.st_mode):
        raise NotRegular(kind, os.fspath(path))
