"""`SaveOnInterrupt`: what a training does after a signal."""

from __future__ import annotations

from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from modelforge.train.checkpoints import Checkpoints, can_stop_after, ends_within
from modelforge.train.interrupt import Interrupted, Interrupts
from modelforge.train.parallel.world import SINGLE_PROCESS, World


class SaveOnInterrupt(Checkpoint):
    """Ends the training after a signal: at the end of the batch at hand, or of the epoch where that cannot be resumed.

    Lightning calls what is a `Checkpoint` last, in the order given: behind the one that keeps last.ckpt, an epoch that
    is over is saved already. Several processes stop at the same batch, whichever of them got the signal.

    Raises:
        Interrupted: a signal is waiting, in any of the hooks.
    """

    def __init__(self, interrupts: Interrupts, checkpoints: Checkpoints, world: World = SINGLE_PROCESS) -> None:
        self.interrupts = interrupts
        self.checkpoints = checkpoints
        self.world = world

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on a signal waits."""
        self.interrupts.hold()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves and stops here if a signal is waiting and there is more to train."""
        number = self._pending()
        if not number or ends_within(trainer):
            return
        if can_stop_after(trainer, batch_idx):
            if not trainer.fast_dev_run:  # pyright: ignore[reportAttributeAccessIssue]  # set by a connector
                self.checkpoints.save_last(trainer)
            raise Interrupted(number)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops here if a signal came since the last batch, while validating for example."""
        self._stop()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops here if a signal came since the last epoch ended; from here on none need wait."""
        self.interrupts.release()
        self._stop()

    def _stop(self) -> None:
        if number := self._pending():
            raise Interrupted(number)

    def _pending(self) -> int:
        """The signal that a process waits to obey; 0 for none."""
        return self.world.max(self.interrupts.pending or 0)
