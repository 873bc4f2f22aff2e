"""What a run says, on streams that may be full, closed, or know no `·`: the run does not end for that."""

from __future__ import annotations

import os
import sys
from typing import Any, TextIO

from modelforge.report.ascii import writable
from modelforge.report.screen import Screen, removed_folder

WIDTH = 120
"""Columns where neither a terminal nor the environment says how many there are: output for a file or a log."""


class Steady:
    """A stream whose `write` and `flush` always succeed: what cannot be written goes nowhere from then on."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes in the stream's own characters."""
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:
            self._stream.write(writable(text, error.encoding))
        except (OSError, ValueError):
            self._silence()
        return len(text)

    def flush(self) -> None:
        """Hands over what was written."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._silence()

    def _silence(self) -> None:
        """Nobody reads any more, as behind `| head`, or the disk is full."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            self._stream = _nowhere()


def steady() -> None:
    """Makes standard output and standard error such streams, for all that prints there; where one is closed, one that
    goes nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, Steady):
            setattr(sys, name, Steady(_nowhere() if stream is None else stream))


def check_folder() -> None:
    """Exits with 1 where the folder that the process runs in was removed."""
    if problem := removed_folder():
        complain(problem)
        sys.exit(1)


def screen() -> Screen:
    """A console on standard output."""
    stream: Any = sys.stdout if isinstance(sys.stdout, Steady) else Steady(sys.stdout)
    known = "COLUMNS" in os.environ or stream.isatty()
    return Screen(file=stream, width=None if known else WIDTH, highlight=False)


def complain(text: object) -> None:
    """Prints what is wrong on standard error, after what was said before."""
    for stream, line in ((sys.stdout, ""), (sys.stderr, f"{text}\n")):
        if stream is not None:
            out = Steady(stream)
            out.write(line)
            out.flush()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # for as long as the process lasts
