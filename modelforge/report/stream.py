"""`Stream`: a text stream whose encoding may lack letters, and whose reader may be gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TextIO

from modelforge.core.errors import ForgeError
from modelforge.core.quoting import printable
from modelforge.report.ascii import writable


class Stream:
    """A stream that writes `writable` forms of the letters that its encoding lacks.

    Args:
        stream: The stream itself; None for one that was closed.
        escaped: Whether characters that cannot be seen are written as their escapes.
        lasting: Whether `write` and `flush` succeed in any case: after a failure, as behind `| head` or on a full disk,
            the text goes nowhere.
    """

    def __init__(self, stream: Any, *, escaped: bool = False, lasting: bool = False) -> None:
        self._stream = _nowhere() if stream is None else stream
        self._escaped = escaped
        self.lasting = lasting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes the text in the stream's own letters."""
        shown = printable(text, "\n\t\r") if self._escaped else text
        try:
            self._stream.write(writable(shown, getattr(self._stream, "encoding", None)))
        except (OSError, ValueError):
            if not self.lasting:
                raise
            self._silence()
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            if not self.lasting:
                raise
            self._silence()

    def _silence(self) -> None:
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            self._stream = _nowhere()


def lasting(stream: Any) -> Any:
    """The stream as one that lasts."""
    return stream if isinstance(stream, Stream) and stream.lasting else Stream(stream, lasting=True)


def complain(text: object) -> None:
    """Prints what is wrong on standard error, after all that was printed before."""
    lasting(sys.stdout).flush()
    out = lasting(sys.stderr)
    out.write(f"{text}\n")
    out.flush()


@contextmanager
def exiting() -> Generator[None]:
    """Exits with 1 after the problems that its body raises, and with 130 after Ctrl-C."""
    try:
        yield
    except ForgeError as error:
        if _interrupted(error):
            sys.exit(130)
        complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: it can leave a value of OmegaConf half made, whose use then fails."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # for as long as the process lasts
