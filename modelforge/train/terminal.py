"""The terminal of a run: streams that never end it, a line while slow imports last, and problems. Imports no torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress

from modelforge.report.screen import Screen, removed_folder
from modelforge.report.stream import Stream

WIDTH = 120
"""Columns of output for a file or a log, where the environment does not set them."""


def keep_streams() -> None:
    """Makes standard output and standard error last, for all that prints there: a run does not end with its reader."""
    for name in ("stdout", "stderr"):
        setattr(sys, name, _lasting(getattr(sys, name)))


def check_folder() -> None:
    """Exits with 1 where the folder that the process runs in was removed."""
    if problem := removed_folder():
        complain(problem)
        sys.exit(1)


def screen() -> Screen:
    """A console on standard output."""
    stream = _lasting(sys.stdout)
    known = "COLUMNS" in os.environ or stream.isatty()
    return Screen(file=stream, width=None if known else WIDTH, highlight=False)


def complain(text: object) -> None:
    """Prints what is wrong on standard error, after all that was printed before."""
    _lasting(sys.stdout).flush()
    out = _lasting(sys.stderr)
    out.write(f"{text}\n")
    out.flush()


@contextmanager
def loading(module: str) -> Generator[None]:
    """Shows a dim `loading torch…` on stderr during a slow import, if that is a terminal; it leaves nothing there."""
    if module in sys.modules or not sys.stderr.isatty():
        yield
        return
    sys.stderr.write(f"\x1b[2mloading {module}…\x1b[0m\r")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write("\x1b[2K\r")
        sys.stderr.flush()


def _lasting(stream: Any) -> Any:
    return stream if isinstance(stream, Stream) and stream.lasting else Stream(stream, lasting=True)


@contextmanager
def reading(what: str, total: int) -> Generator[Callable[[int], object]]:
    """Shows on a terminal's stderr how many of a number of things are read; gives the function that counts them."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"reading {what}", total=total)
        yield lambda number: progress.advance(task, number)
