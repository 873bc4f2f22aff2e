"""without_validation: the length of a training → the warning that no validation comes within it."""

from __future__ import annotations

from collections.abc import Iterator

from modelforge.core.errors import Problem
from modelforge.core.words import plural
from modelforge.train.lengths import Lengths


def without_validation(length: Lengths, metric: str) -> Iterator[Problem]:
    """The warning of a training that ends before its first validation: the optimized metric has no value then.

    A training that is to have none, by `limit_val_batches`, is meant so.

    Args:
        length: Of the training.
        metric: The optimized metric.
    """
    trainer, each, steps = length.trainer, length.num_batches, length.steps("step")
    interval, epochs = trainer.get("val_check_interval") or 1.0, trainer.get("check_val_every_n_epoch", 1)
    if trainer.get("fast_dev_run") or trainer.get("limit_val_batches") == 0 or not (each and steps):
        return
    if not isinstance(interval, int | float):  # a time
        return
    whole, rest = divmod(steps, length.steps_per_epoch or 1)
    batches = whole * each + rest * trainer.get("accumulate_grad_batches", 1)
    first = interval if isinstance(interval, int) else max(1, int(each * interval))
    first += 0 if epochs is None else (epochs - 1) * each
    if first > batches:
        by_steps = "max_steps" if trainer.get("max_steps", -1) >= 0 else "val_check_interval"
        key = by_steps if epochs in (None, 1) else "check_val_every_n_epoch"
        message = f"the first validation comes after {plural(int(first), 'batch')}, but the training has {batches:,}"
        hint = "train longer, or validate more often; as it is, the last weights are tested"
        yield Problem("MW221", f"trainer.{key}", f"{message}: `{metric}` has no value", hint, severity="warning")
