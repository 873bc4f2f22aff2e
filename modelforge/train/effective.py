"""effective: a composed config → what its training comes to in numbers, as far as the config alone determines it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from modelforge.train.data.registry import parse_source
from modelforge.train.data.source import Source, SplitSource
from modelforge.train.lengths import Lengths, lengths
from modelforge.train.schedulers.curves import Curve
from modelforge.train.schedulers.scheduler import parse_scheduler
from modelforge.train.tasks.registry import val_metrics
from modelforge.train.trainer_settings import num_processes, parse_trainer


def effective(values: Mapping[str, Any]) -> dict[str, int]:
    """Examples, steps and warm-up of a training; nothing is read, and what is wrong or not known is left out.

    Args:
        values: The composed config.

    Example:
        >>> data = {"type": "digits", "input": {"shape": [8, 8]}, "task": "classification", "num_classes": 10}
        >>> values = {"data": {**data, "num_outputs": 10, "batch_size": 64}, "trainer": {"max_epochs": 2}}
        >>> effective(values)
        {'train_examples': 1257, 'examples_per_step': 64, 'steps_per_epoch': 20, 'total_steps': 40}
    """
    try:
        source = parse_source(values.get("data"))
    except (ValidationError, PydanticCustomError):
        return {}
    trainer, problems = parse_trainer(values.get("trainer") or {})
    if problems:
        return {}
    length = lengths(source, trainer, rows=_rows(source))
    if "devices" in trainer and num_processes(trainer) is None:  # all devices of a machine that this may not be
        return {} if length.rows is None else {"train_examples": length.rows}
    facts = {
        "train_examples": length.rows,
        "examples_per_step": length.all_at_once * trainer.get("accumulate_grad_batches", 1),
        "steps_per_epoch": length.steps_per_epoch,
        "total_steps": length.steps("step"),
        "warmup_steps": _warmup(values, source, length),
    }
    return {name: number for name, number in facts.items() if number is not None}


def _rows(source: Source) -> int | None:
    """Examples to train on, where that is known without reading."""
    if isinstance(source, SplitSource) and source.known_size is not None:
        return source.num_examples(source.known_size)[0]
    return None


def _warmup(values: Mapping[str, Any], source: Source, length: Lengths) -> int | None:
    metrics = val_metrics(source.task.type)
    scheduler, problems = parse_scheduler(values.get("scheduler"), metrics, values.get("trainer"))
    if scheduler is None or problems or not isinstance(scheduler.rule, Curve):
        return None
    horizon = scheduler.over(length.horizon(scheduler.interval)).horizon
    warmup = None if horizon is None and scheduler.rule.needs_horizon else scheduler.rule.num_warmup(horizon or 0)
    if warmup is None or scheduler.interval == "step":
        return warmup
    return None if length.steps_per_epoch is None else ceil(warmup * length.steps_per_epoch)
