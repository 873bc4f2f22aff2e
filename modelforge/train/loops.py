"""Where a training is, as Lightning's loops count it, and how a resumed one goes on from there.

In Lightning a checkpoint can be made anywhere. Here there are three places: after a batch, after a validation in the
middle of an epoch, and between two epochs, when all that belongs to the first is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning import Trainer

from modelforge.train.resume import Position


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
