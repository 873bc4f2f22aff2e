"""prepare: a composed config → `Job`. Everything a run needs is checked before anything is allocated or written.

Imports torch, and not Lightning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import modelforge as mf
from modelforge.config import Config
from modelforge.errors import ForgeError, Problem
from modelforge.train.optimizers import OptimizerFactory, SchedulerFactory, parse_optimizer, parse_scheduler
from modelforge.train.resume import Position, check_resumable
from modelforge.train.settings import Settings, parse_settings
from modelforge.train.trainer_settings import parse_trainer
from modelforge.values import BATCH, TensorValue, Value, show


@dataclass(frozen=True)
class Job:
    """A config that has been checked as a whole, ready to train."""

    settings: Settings
    plan: mf.Plan
    optimizer: OptimizerFactory
    scheduler: SchedulerFactory | None
    trainer: Mapping[str, Any]
    start: Position


def prepare(config: Config) -> Job:
    """Checks everything a run needs, before anything is allocated or written.

    Raises:
        ForgeError: all that is wrong with the model and with the training settings.
        ModuleNotFoundError: Lightning is not installed.
    """
    plan, wrong = _plan(config)
    settings, problems = parse_settings(config.values)
    optimizer, more = parse_optimizer(config.values.get("optimizer"))
    problems += more
    scheduler, more = parse_scheduler(config.values.get("scheduler"))
    problems += more
    if plan is not None and optimizer is not None:
        optimizer, more = optimizer.following(plan.parameters)
        problems += more
    arguments, more = parse_trainer(config.values.get("trainer", {}))
    problems += more
    if plan is not None and settings is not None:
        problems += _check_data(plan, settings)
    told = {problem.path for problem in wrong}
    wrong += [config.origins.locate(problem) for problem in problems if problem.path not in told]
    start, more = _start(settings, config)
    if wrong := wrong + more:
        raise ForgeError(wrong)
    assert plan is not None
    assert settings is not None
    assert optimizer is not None
    return Job(settings, plan, optimizer, scheduler, arguments, start)


def _plan(config: Config) -> tuple[mf.Plan | None, list[Problem]]:
    try:
        return mf.plan(mf.parse(config)), []
    except ForgeError as error:
        return None, list(error.problems)


def _start(settings: Settings | None, config: Config) -> tuple[Position, list[Problem]]:
    if settings is None or settings.ckpt is None:
        return Position(), []
    try:
        return check_resumable(Path(settings.ckpt), config), []
    except ForgeError as error:
        return Position(), list(error.problems)


def _check_data(plan: mf.Plan, settings: Settings) -> Iterator[Problem]:
    """What the data hands over must be what the model takes, and what it gives must be one score per class."""
    given = TensorValue((BATCH, *settings.data.input.shape), settings.data.input.dtype)
    if list(plan.inputs.values()) != [given]:
        takes = " and ".join(f"{value.dtype} {value}" for value in plan.inputs.values())
        message = f"the model takes {takes}, but the data gives {given.dtype} {given}"
        yield Problem("MF050", "model.input", message, "write `input: ${data.input}`")
    scores = TensorValue((BATCH, settings.data.num_classes), settings.data.input.dtype)
    if plan.output != scores:
        classes = f"the data has {settings.data.num_classes} classes"
        message = f"the model puts out {show(plan.output)}, but {classes}, so it must be {scores}"
        yield Problem("MF050", plan.root.children[-1].key, message, _way_out(plan.output), part="key")


def _way_out(output: Value) -> str:
    if not isinstance(output, TensorValue):
        return "end with a layer that gives one tensor"
    if len(output.shape) > 2:
        return "reduce it before the last layer: `Flatten`, or `Select` or `Mean` with the dimension to drop"
    return "end with `{type: Linear, out_features: ${data.num_classes}}`"
