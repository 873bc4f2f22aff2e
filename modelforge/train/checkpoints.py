"""`Checkpoints`: last.ckpt after every epoch, best.ckpt after the best; each is written whole or not at all.

In Lightning a checkpoint can be made anywhere. Here there are three places: after a batch, after a validation in the
middle of an epoch, and between two epochs, when all that belongs to the first is done.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.trainer.states import TrainerFn

from modelforge.core.files import replacing
from modelforge.train.resume import ACCUMULATED, BEST, DATA, KEY, LAST, PROCESSES, SECTIONS, STATE, Position, Start
from modelforge.train.tasks.task import Mode
from modelforge.train.trackers.history import History


class AtomicIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it; Lightning's goes through the folder for temporary files."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)


class Checkpoints(Checkpoint):
    """Saves between epochs, once all that belongs to an epoch is done: metrics logged, schedulers stepped.

    A validation in the middle of an epoch is judged there.

    Args:
        folder: The folder of the checkpoints.
        metric: The metric by which the best is chosen.
        mode: Whether its lowest or its highest value is best.
        history: The metrics so far; each checkpoint holds them.
        start: Where a resumed run goes on.
        config: The values of the config that makes the weights: what `check_resumable` compares goes into each
            checkpoint.
        every_n_steps: The number of steps after which last.ckpt is written within an epoch, too.
        processes: The number of processes that train.
        data: The digest of what they train on.
    """

    def __init__(
        self,
        folder: Path,
        metric: str,
        mode: Mode,
        history: History,
        start: Start,
        config: Mapping[str, Any],
        every_n_steps: int | None = None,
        processes: int = 1,
        data: str | None = None,
    ) -> None:
        self.folder = folder
        self.metric = metric
        self.mode: Mode = mode
        self.history = history
        self.start = start
        self.config = {section: config.get(section) for section in SECTIONS}
        self.every_n_steps = every_n_steps
        self.processes = processes
        self.data = data
        self.best_score = start.best_score
        self.best_step = start.best_step
        self._is_new = False
        """Whether the best epoch is the one that ended last: best.ckpt is still to be written."""
        self._is_between = False
        self._cut: dict[str, Any] | None = None
        """Of a training that ends within an epoch: its checkpoint before Lightning counts the epoch as done."""
        self._ended: Any = None
        """The metrics of such a training at its end."""
        self._has_begun = False
        self._saved_step = 0
        """The step that last.ckpt holds."""

    @property
    def best(self) -> Path | None:
        """best.ckpt, None where no epoch was judged."""
        return None if self.best_score is None else self.folder / BEST

    def state_dict(self) -> dict[str, Any]:
        best = {"metric": self.metric, "best_score": self.best_score, "best_step": self.best_step}
        return best | self.history.rows.state()

    @property
    def state_key(self) -> str:
        return STATE

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restores the metrics of the checkpoint for a training, not for a test, which reads one too."""
        state = checkpoint["callbacks"].get(STATE)
        if trainer.state.fn == TrainerFn.FITTING and state is not None:
            self.history.rows.restore(state["history"], state.get("steps"))
            self._ended = state.get("ended")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = self.config
        checkpoint[PROCESSES] = self.processes
        checkpoint[ACCUMULATED] = trainer.accumulate_grad_batches
        checkpoint[DATA] = self.data
        if self._is_between:
            between_epochs(checkpoint)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._has_begun = True
        self._saved_step = trainer.global_step
        if self.start.ckpt is not None:
            resumed(trainer, self.start.position)
            self.history.replay()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking or trainer.is_last_batch:
            return
        if self._judge(trainer):
            trainer.save_checkpoint(self.folder / BEST)
        if self._cut is None and ends_within(trainer):
            self._cut = _snapshot(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A limit of steps or of time may end the training here; last.ckpt may be due."""
        if is_validated_next(trainer, batch_idx):
            return
        can_stop = can_stop_after(trainer, batch_idx)
        if not ends_within(trainer):
            if can_stop and self._is_due(trainer):
                self.save_last(trainer)
        elif can_stop:
            self._cut = _snapshot(trainer)
        else:
            trainer.should_stop = False  # a limit of time sets it again after the next batch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._is_new = self._judge(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch > self.start.position.epoch:
            self._save_between(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save_between(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Puts a run that was resumed with nothing left to train back to its end."""
        if self._has_begun:
            return
        count_cut_epoch(trainer, self.start.position)
        if self._ended is not None:
            self.history.rows.restore(self._ended)
        self.history.replay()

    def save_last(self, trainer: Trainer) -> None:
        """Writes last.ckpt now."""
        trainer.save_checkpoint(self.folder / LAST)
        self._saved_step = trainer.global_step

    def _is_due(self, trainer: Trainer) -> bool:
        return self.every_n_steps is not None and trainer.global_step - self._saved_step >= self.every_n_steps

    def _judge(self, trainer: Trainer) -> bool:
        value = trainer.callback_metrics.get(self.metric)
        if value is None or not _is_better(float(value), self.best_score, self.mode):
            return False
        self.best_score, self.best_step = float(value), trainer.global_step
        return True

    def _save_between(self, trainer: Trainer) -> None:
        self._is_between = True
        if self._is_new:
            trainer.save_checkpoint(self.folder / BEST)
        if self._cut is None:
            self.save_last(trainer)
        else:
            state = {
                "best_score": self.best_score,
                "best_step": self.best_step,
                "ended": self.history.rows.epoch_rows(),
            }
            self._cut["callbacks"][STATE].update(state)
            trainer.strategy.save_checkpoint(self._cut, self.folder / LAST)
        self._is_between = self._is_new = False


def _snapshot(trainer: Trainer) -> dict[str, Any]:
    return trainer._checkpoint_connector.dump_checkpoint(weights_only=False)


def _is_better(value: float, best: float | None, mode: Mode) -> bool:
    if best is None or math.isnan(best):
        return best is None or not math.isnan(value)
    return value < best if mode == "min" else value > best


def is_validated_next(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a validation follows this batch: a checkpoint between the two would leave it out when resumed."""
    every = trainer.val_check_batch  # pyright: ignore[reportAttributeAccessIssue]  # set by the fit loop
    if every is None or every == float("inf"):  # by the clock, or at the end of an epoch
        return False
    if trainer.check_val_every_n_epoch is None:
        return (trainer.fit_loop.total_batch_idx + 1) % every == 0
    return (batch_idx + 1) % every == 0 and (trainer.current_epoch + 1) % trainer.check_val_every_n_epoch == 0


def can_stop_after(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a training that is resumed after this batch goes on as if it had not been stopped."""
    accumulates = (batch_idx + 1) % trainer.accumulate_grad_batches != 0
    in_fixed_order = trainer.overfit_batches > 0  # pyright: ignore[reportAttributeAccessIssue]  # set by a connector
    return not (trainer.is_last_batch or accumulates or in_fixed_order or is_validated_next(trainer, batch_idx))


def ends_within(trainer: Trainer) -> bool:
    """Whether the training ends after this batch, by a limit of steps or of time, and its epoch is not over."""
    enough = 0 <= trainer.max_steps <= trainer.global_step
    stops = trainer.should_stop and trainer.fit_loop._can_stop_early
    return (enough or stops) and not trainer.is_last_batch


def between_epochs(checkpoint: Mapping[str, Any]) -> None:
    """Sets the counters of a checkpoint to the end of an epoch, before the next begins."""
    progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]
    for part in ("total", "current"):
        done = progress[part]["processed"]
        progress[part].update(ready=done, started=done, completed=done)


def resumed(trainer: Trainer, position: Position) -> None:
    """Called when a resumed training starts, so that Lightning leaves nothing out at the end of the epoch.

    In an epoch that it restarts, it does not step a scheduler that follows a metric.
    """
    trainer.fit_loop._restarting = False
    if not position.num_batches:
        trainer.fit_loop.epoch_loop.restarting = False


def count_cut_epoch(trainer: Trainer, position: Position) -> None:
    """Counts an epoch that a limit of steps or of time ended as done, for what is logged from here on.

    Lightning does so when the limit is reached, but not where a training is resumed that has nothing left to do.
    """
    done = position.epoch + bool(position.num_batches)
    vars(trainer.fit_loop.epoch_progress.current).update(processed=done, completed=done)
    trainer.fit_loop.epoch_loop._batches_that_stepped = trainer.global_step


def started(trainer: Trainer) -> bool:
    """Whether a checkpoint was read in whole: Lightning lets go of it then."""
    return not trainer._checkpoint_connector._loaded_checkpoint
