"""Ctrl-C, gently: the first one waits until the run can be resumed, a second one stops at once. Imports no torch.

So do a request to end (SIGTERM) and a closed terminal (SIGHUP).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(BaseException):
    """The user or the system asked the run to stop; `exit_code` is what a shell expects then.

    Like KeyboardInterrupt no `Exception`, which libraries catch and go on from.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interrupts:
    """While entered, `SIGNALS` raise `Interrupted` here; between `hold` and `release` only a second one does.

    What the process was started to ignore, as SIGHUP under `nohup`, it goes on to ignore. Outside the main thread,
    where Python takes no signals, it does nothing.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.pending: int | None = None
        self._held = False
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

        Takes the signals back from whoever took them meanwhile: Lightning answers SIGTERM too, by leaving wherever it
        happens to be with exit code 0 and nothing saved.
        """
        self._held = True
        for number in self._before:
            signal.signal(number, self._receive)

    def release(self) -> None:
        """From here on a signal need not wait."""
        self._held = False

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self._held or self.pending is not None:
            raise Interrupted(number)
        self.pending = number
        self.say("stopping as soon as that can be resumed; once more to stop at once")
