"""Ctrl-C while a program imports: it ends the program; Python would print the traceback of an import, or lose it."""

from __future__ import annotations

import os
import signal
from types import FrameType


def end_at_ctrl_c() -> None:
    """From here on Ctrl-C ends this process at once, with status 130. For a program that has done nothing yet."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, and stays so
        signal.signal(signal.SIGINT, _end)


def raise_at_ctrl_c() -> None:
    """Ends what `end_at_ctrl_c` began: Ctrl-C raises `KeyboardInterrupt` again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
