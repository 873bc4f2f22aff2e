"""`SaveOnInterrupt`: a run that is asked to stop does so where it can be resumed, and leaves a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from modelforge.train.interrupt import Interrupted, Interrupts


class SaveOnInterrupt(Checkpoint):
    """Saves `path` after a signal, at the end of the batch, or of the validation, at hand; then ends the training.

    Lightning calls what is a `Checkpoint` last, in the order given: behind the one that keeps the best, what is saved
    knows how good the epoch was.
    """

    def __init__(self, interrupts: Interrupts, path: Path) -> None:
        self.interrupts = interrupts
        self.path = path

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a signal waits."""
        self.interrupts.hold()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops here if a signal is waiting, unless the epoch is over but for its validation: no resumed run makes up
        for that.

        Raises:
            Interrupted: one is.
        """
        if not trainer.is_last_batch:
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops here if a signal came since the last batch, while validating for example.

        Raises:
            Interrupted: one did.
        """
        self._stop(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops here if a signal came since the last epoch ended; from here on none need wait.

        Raises:
            Interrupted: one did.
        """
        self.interrupts.release()
        self._stop(trainer)

    def _stop(self, trainer: Trainer) -> None:
        if self.interrupts.pending is not None:
            if not trainer.fast_dev_run:  # pyright: ignore[reportAttributeAccessIssue]  # set by a connector
                trainer.save_checkpoint(self.path)
            raise Interrupted(self.interrupts.pending)
