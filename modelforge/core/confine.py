"""confine: from now on this process reads little, writes nothing, starts nothing and ends soon.

For what is done with a stranger's config, after all that is trusted has been imported. Two locks on one door: the
system's limits (`resource`), and a hook that refuses what Python is about to do. Neither can be taken off again.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

try:
    import resource as _resource
except ImportError:  # there is no such module on Windows
    _resource = None

resource: ModuleType | None = _resource
STARTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
)
WRITES = (
    "os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate",
    "os.utime", "os.setxattr", "os.removexattr", "os.chflags", "os.kill", "os.killpg", "shutil.", "tempfile.",
    "signal.pthread_kill", "syslog.",
)  # fmt: skip
TALKS = (
    "socket.",
    "urllib.",
    "http.client.",
    "ftplib.",
    "smtplib.",
    "poplib.",
    "imaplib.",
    "telnetlib.",
    "webbrowser.",
)
REFUSED = (*STARTS, *WRITES, *TALKS, "mmap.__new__", "os.putenv", "os.unsetenv")
_READS = ("open", "os.listdir", "os.scandir", "os.chdir")


class TooLong(BaseException):
    """The time of the processor is over; not an `Exception`, which code on the way might catch."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a process tried to do and was not allowed."""

    event: str
    what: str


def can_confine() -> bool:
    """Whether this system can bound a process."""
    return resource is not None and hasattr(os, "setsid")


def confine(readable: Sequence[Path], memory: int, seconds: int) -> list[Attempt]:
    """Takes from this process all that a stranger's config has no need of.

    Args:
        readable: The folders below which it may read; the packages of this interpreter are added.
        memory: Bytes that it may take on top of what it has now.
        seconds: Time of the processor that it may take in all, on top of what it has taken.

    Returns:
        What it tries to do all the same, from now on.
    """
    assert resource is not None, "ask `can_confine` first"
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_FSIZE, 0)
    _bound(resource.RLIMIT_CPU, round(_seconds() + seconds + 1))
    _bound(resource.RLIMIT_NPROC, 0)
    if size := _address_space():
        _bound(resource.RLIMIT_AS, size + memory)
    attempts: list[Attempt] = []
    packages = (sys.prefix, sys.base_prefix, sys.exec_prefix, Path(__file__).parents[1], *sys.path)
    folders = tuple(os.path.realpath(folder) for folder in (*readable, *packages) if str(folder))
    sys.addaudithook(lambda event, given: _guard(event, given, folders, attempts))
    return attempts


@contextmanager
def limited(seconds: int) -> Generator[None]:
    """Gives its body so much time of the processor; when that is over, it raises `TooLong`."""
    before = signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLong


def _bound(what: int, most: int) -> None:
    """Lowers a limit; one that the system does not know, or that is lower already, stays."""
    assert resource is not None
    _, hard = resource.getrlimit(what)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(what, (bound, bound))
    except (ValueError, OSError):
        return  # macOS takes no bound of the address space


def _seconds() -> float:
    assert resource is not None
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _address_space() -> int:
    """Bytes that are mapped; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _guard(event: str, given: tuple[Any, ...], folders: tuple[str, ...], attempts: list[Attempt]) -> None:
    if event in _READS:
        if _may_open(given, folders):
            return
    elif not event.startswith(REFUSED):
        return
    attempts.append(Attempt(event, str(given[:1])[:200]))
    raise PermissionError(errno.EACCES, f"a check of a stranger's config may not do this: {event}")


def _may_open(given: tuple[Any, ...], folders: tuple[str, ...]) -> bool:
    """Whether a file or folder is one to read; what is open already stays so."""
    path, *mode = given
    if isinstance(path, int):
        return True
    flags = mode[1] if len(mode) > 1 and isinstance(mode[1], int) else os.O_RDONLY
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
        return False
    place = os.path.realpath(os.fsdecode(path) if path is not None else os.curdir)
    return any(place == folder or place.startswith(f"{folder}{os.sep}") for folder in folders)
