"""Ctrl-C, SIGTERM and SIGHUP: the first waits until the run can be resumed, a second stops at once. Needs no torch."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from math import inf
from types import FrameType, TracebackType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

ECHO = 0.5
"""Seconds within which a second signal is the first one again: a terminal and a parent may both send it."""


class Interrupted(BaseException):
    """The user or the system asked the run to stop; `exit_code` is what a shell expects then.

    It is not an `Exception`, as KeyboardInterrupt is none: libraries catch those and go on.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interrupts:
    """While entered, `SIGNALS` raise `Interrupted` here; between `hold` and `release` only a second one does.

    Signals that the process ignores from its start, as SIGHUP under `nohup`, stay ignored. Outside the main thread,
    where Python receives no signals, this does nothing.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.pending: int | None = None
        self._held = False
        self._received = -inf
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """From here on a signal waits in `pending`.

        Installs the handlers again: Lightning has one for SIGTERM, which exits at once with code 0 and saves nothing.
        """
        self._held = True
        for number in self._before:
            signal.signal(number, self._receive)

    def release(self) -> None:
        """From here on a signal need not wait."""
        self._held = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        before, self._received = self._received, time.monotonic()
        if self._received - before < ECHO:
            return
        if not self._held or self.pending is not None:
            raise Interrupted(number)
        self.pending = number
        self.say("stopping as soon as that can be resumed; once more to stop at once")
