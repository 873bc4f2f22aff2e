"""Ctrl-C, gently: the first one stops after the batch at hand and saves, a second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from lightning import Callback, LightningModule, Trainer


class Interrupted(Exception):
    """The user or the system asked the run to stop; `exit_code` is what a shell expects then."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Interrupts:
    """While entered, SIGINT and SIGTERM raise `Interrupted` here; between `hold` and `release` only a second one does.

    Outside the main thread, where Python takes no signals, it does nothing.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.held = False
        self.pending: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.held or self.pending is not None:
            raise Interrupted(number)
        self.pending = number
        self.say("stopping after this batch; once more to stop at once")


class SaveOnInterrupt(Callback):
    """Saves `path` at the first batch boundary after a signal, then ends the training."""

    def __init__(self, interrupts: Interrupts, path: Path) -> None:
        self.interrupts = interrupts
        self.path = path

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a signal waits for the end of its batch."""
        self.interrupts.held = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops here if a signal is waiting.

        Raises:
            Interrupted: one is.
        """
        self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops here if a signal came while validating.

        Raises:
            Interrupted: one did.
        """
        self._stop(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a signal need not wait."""
        self.interrupts.held = False

    def _stop(self, trainer: Trainer) -> None:
        if self.interrupts.pending is not None:
            if not trainer.fast_dev_run:  # pyright: ignore[reportAttributeAccessIssue]  # set by a connector
                trainer.save_checkpoint(self.path)
            raise Interrupted(self.interrupts.pending)
