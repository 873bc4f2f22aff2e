"""The length of a training, in batches and epochs, and what does not fit it: a batch of one example, a scheduler."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch

from modelforge.building.build import on_meta
from modelforge.core.errors import Problem
from modelforge.core.quoting import sentence
from modelforge.core.words import plural
from modelforge.planning.forward import FewSteps
from modelforge.planning.plan import Plan
from modelforge.train.arguments import misuse
from modelforge.train.data.read import read
from modelforge.train.data.source import Source
from modelforge.train.schedulers.curves import WSD, Curve
from modelforge.train.schedulers.scheduler import SchedulerFactory
from modelforge.train.schedulers.torch_scheduler import ENDS, TorchScheduler
from modelforge.train.trainer_settings import num_processes

DEFAULT_EPOCHS = 1000
"""Lightning's, where neither epochs nor steps are limited."""
STAGES: Mapping[str, str] = MappingProxyType(
    {
        "StepLR": "step_size",
        "MultiStepLR": "milestones",
        "ConstantLR": "total_iters",
        "LinearLR": "total_iters",
        "CosineAnnealingWarmRestarts": "T_0",
        "CyclicLR": "step_size_up",
        "SequentialLR": "milestones",
    }
)
"""The argument whose step should lie within the training."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """The length of a training; None stands for what the config alone does not determine."""

    rows: int | None
    """Examples to train on."""
    batch_size: int
    """Of one process."""
    trainer: Mapping[str, Any]
    processes: int = 1
    """How many train together; a batch of the epoch is one of each."""

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch."""
        if self.rows is None:
            return None
        whole = math.ceil(self.rows / self.all_at_once)
        limit = self.trainer.get("overfit_batches") or self.trainer.get("limit_train_batches")
        limit = 1.0 if limit is None else limit
        return min(whole, limit) if isinstance(limit, int) else int(whole * limit)

    @property
    def last_is_one(self) -> bool:
        """Whether a batch of a process holds one example: the last one of an epoch, or each."""
        if self.batch_size == 1 or self.rows is None:
            return self.batch_size == 1
        is_whole = self.num_batches == math.ceil(self.rows / self.all_at_once)
        return is_whole and self.leaves_one(self.batch_size)

    @property
    def all_at_once(self) -> int:
        """Examples of a batch of all processes."""
        return self.batch_size * self.processes

    @property
    def batch_words(self) -> str:
        """A batch in words: its size, and of how many processes.

        Example:
            >>> Lengths(100, 32, {}).batch_words, Lengths(100, 32, {}, processes=2).batch_words
            ('32', '2 x 32')
        """
        return f"{self.processes} x {self.batch_size:,}" if self.processes > 1 else f"{self.batch_size:,}"

    def leaves_one(self, batch_size: int) -> bool:
        """Whether the last examples of an epoch give a process one, in batches of that size."""
        assert self.rows is not None
        return 1 <= self.rows % (batch_size * self.processes) < 2 * self.processes

    @property
    def is_unlimited(self) -> bool:
        """Whether neither epochs nor steps end the training."""
        return self._max_epochs < 0 and self._max_steps < 0

    def steps(self, interval: str) -> int | None:
        """How often a scheduler is stepped; None where that depends on the data, or where nothing ends the training."""
        epochs, each = self._max_epochs, self.steps_per_epoch
        if interval == "step":
            limits = [self._max_steps] if self._max_steps >= 0 else []
            limits += [epochs * each] if epochs >= 0 and each is not None else []
            unknown = not limits or (epochs >= 0 and each is None)
        else:
            limits = [epochs] if epochs >= 0 else []
            limits += [self._max_steps // each] if self._max_steps >= 0 and each else []
            unknown = not limits or (self._max_steps >= 0 and not each)
        return None if unknown else min(limits)

    def horizon(self, interval: str) -> int | None:
        """The length of the training for a curve; an epoch that a limit of steps cuts counts in whole."""
        steps, each = self.steps(interval), self.steps_per_epoch
        if interval == "step" or steps is None or not each or self._max_steps < 0:
            return steps
        whole = math.ceil(self._max_steps / each)
        return whole if self._max_epochs < 0 else min(whole, self._max_epochs)

    @property
    def _max_steps(self) -> int:
        return self.trainer.get("max_steps", -1)

    @property
    def _max_epochs(self) -> int:
        epochs = self.trainer.get("max_epochs")
        if epochs is not None:
            return epochs
        return -1 if self._max_steps >= 0 or self.trainer.get("max_time") is not None else DEFAULT_EPOCHS

    @property
    def steps_per_epoch(self) -> int | None:
        """Steps of the optimizer in one epoch."""
        batches = self.num_batches
        return None if batches is None else math.ceil(batches / self.trainer.get("accumulate_grad_batches", 1))


def lengths(
    source: Source, trainer: Mapping[str, Any], *, rows: int | None = None, processes: int | None = None
) -> Lengths:
    """The length of a training; data that lies in no file declares its own.

    Args:
        source: The data.
        trainer: Checked arguments of the trainer.
        rows: How many examples there are to train on, once they are read.
        processes: How many train together, once that is known; before that, as far as the trainer's arguments say it.
    """
    known = rows if rows is not None else getattr(source, "num_train", None)
    return Lengths(known, source.batch_size, trainer, processes or num_processes(trainer) or 1)


def without_steps(trainer: Mapping[str, Any]) -> Iterator[Problem]:
    """The warning that nothing is trained: the results are those of the initial values."""
    if trainer.get("fast_dev_run"):
        return
    names = ("max_epochs", "max_steps", *(() if trainer.get("overfit_batches") else ("limit_train_batches",)))
    for name in names:
        if trainer.get(name) == 0:
            message = f"`{name}` is 0: nothing is trained, and the model keeps its initial values"
            yield Problem("MW221", f"trainer.{name}", message, severity="warning")


def too_short(plan: Plan, source: Source, length: Lengths) -> Iterator[Problem]:
    """A batch of one example for a model that needs two to be trained, as normalization over a batch does."""
    if length.rows is not None and not length.last_is_one:
        return
    refused = _refusal(plan, source, 1)
    if refused is None or _refusal(plan, source, 2):
        return
    if length.rows is None and length.batch_size > 1:
        if source.reads:
            return  # that takes opening the files
        length = lengths(source, length.trainer, rows=len(read(source).train))
        if not length.last_is_one:
            return
    key, reason = _key(plan, refused[0]), refused[1]
    if length.batch_size == 1:
        message = f"a batch is one example, but `{key}` needs more to be trained: {reason}"
        yield Problem("MF050", "data.batch_size", message, "write `data.batch_size=2` or more")
        return
    assert length.rows is not None
    message = (
        f"the last batch of an epoch is one example ({length.rows:,} in batches of {length.batch_words}), "
        f"but `{key}` needs more to be trained: {reason}"
    )
    smaller = range(length.batch_size - 1, 1, -1)
    size = next((b for b in smaller if not length.leaves_one(b)), length.batch_size + 1)
    yield Problem("MF050", "data.batch_size", message, f"write `data.batch_size={size}`")


def too_short_to_evaluate(plan: Plan, source: Source, length: Lengths, parts: Mapping[str, int]) -> Iterator[Problem]:
    """A batch of one example in a validation or a test, for a batch norm that keeps no statistics.

    Args:
        plan: The model.
        source: The data.
        length: Of the training.
        parts: The names of the parts, and how many examples each has.
    """
    last = next((name for name, rows in parts.items() if replace(length, rows=rows, trainer={}).last_is_one), None)
    refused = None if last is None else _refusal(plan, source, 1, training=False)
    if last is None or refused is None or _refusal(plan, source, 2, training=False):
        return
    yield Problem(
        "MF050",
        "data.batch_size",
        f"the last batch of the {last} part is one example ({parts[last]:,} in batches of {length.batch_words}), but "
        f"`{_key(plan, refused[0])}` needs more to be evaluated: {refused[1]}",
        "choose another size, or let it keep running statistics",
    )


def unmeasured(source: Source, length: Lengths, parts: Mapping[str, int]) -> Iterator[Problem]:
    """The warning about limits of batches that leave the metric fewer examples than it takes.

    Args:
        source: The data.
        length: Of the training.
        parts: How many examples there are to train on and to validate, by `train` and `val`.
    """
    least, given, short = source.task.min_examples(source), length.trainer, dict[str, list[str]]()
    for part, rows in parts.items():
        limits = ("fast_dev_run", "overfit_batches", f"limit_{part}_batches")
        name = next((one for one in limits if given.get(one)), "")
        limit, each = given.get(name, 0), length.all_at_once
        number = limit if isinstance(limit, int) else int(math.ceil(rows / each) * limit)
        if 0 < min(rows, number * each) < least:
            short.setdefault(name, []).append(f"`{part}/{source.task.metric}`")
    for name, metrics in short.items():
        message = f"`{name}` leaves fewer than {least} examples for {' and '.join(metrics)}: of so few, it is NaN"
        yield Problem("MW226", f"trainer.{name}", message, f"write `data.batch_size={least}` or more")


def out_of_step(scheduler: SchedulerFactory | None, length: Lengths) -> Iterator[Problem]:
    """The problem of a scheduler with another end than the training: an error where it is wrong after its end."""
    if scheduler is None:
        return
    if scheduler.rule.needs_horizon and length.is_unlimited and not scheduler.over(None).horizon:
        message = f"`{scheduler.name}` needs the length of the training, but nothing limits it"
        hint = "limit it: `trainer.max_epochs`, `+trainer.max_steps`"
        own = isinstance(scheduler.rule, Curve)
        yield misuse("scheduler", message, f"{hint}; or give `scheduler.horizon`" if own else hint, part="key")
    elif isinstance(scheduler.rule, Curve):
        yield from _curve_out_of_step(scheduler, scheduler.rule, length)
    else:
        yield from _torch_out_of_step(scheduler, scheduler.rule, length)


def _curve_out_of_step(scheduler: SchedulerFactory, curve: Curve, length: Lengths) -> Iterator[Problem]:
    """Parts of a curve that are longer than the training."""
    horizon, unit = scheduler.over(length.horizon(scheduler.interval)).horizon, scheduler.interval
    if horizon is None:
        return
    if horizon > (steps := length.steps(unit) or horizon):
        yield _beyond("horizon", scheduler.name, horizon, steps, unit)
    decay = curve.decay if isinstance(curve, WSD) else 0
    warmup = curve.num_warmup(horizon)
    if warmup > horizon:
        yield _beyond("warmup", scheduler.name, warmup, horizon, unit)
    elif isinstance(decay, int) and warmup + decay > horizon:
        taken = f"`warmup` and `decay` of {scheduler.name} take {plural(warmup + decay, unit)}"
        message = f"{taken}, but there are {horizon:,}: the decay does not reach its end"
        yield Problem("MW211", "scheduler.decay", message, "lower one of the two", severity="warning")


def _torch_out_of_step(scheduler: SchedulerFactory, rule: TorchScheduler, length: Lengths) -> Iterator[Problem]:
    steps, unit = length.steps(scheduler.interval), scheduler.interval
    if steps is not None:
        yield from _rule_out_of_step(rule, steps, unit, "scheduler")
        return
    name, after = ENDS.get(rule.name, ("", ""))
    epochs, end = length.trainer.get("max_epochs") or 0, _end(rule)
    if after and unit == "step" and 0 < end <= epochs and length.trainer.get("max_steps", -1) < 0:
        message = f"`{name}` is {end}, but the scheduler is stepped after each batch of {plural(epochs, 'epoch')}"
        yield misuse(f"scheduler.{name}", message, f"{after}: `scheduler.interval=epoch`")


def _rule_out_of_step(rule: TorchScheduler, steps: int, unit: str, path: str) -> Iterator[Problem]:
    """The problems of a scheduler that is stepped so often, and of those that it is made of."""
    name, after = ENDS.get(rule.name, (STAGES.get(rule.name, ""), ""))
    end, is_part = _end(rule), path != "scheduler"
    if after and 0 < end < steps:
        hint = f"{after}: `scheduler.{name}={steps}`" + (", or `scheduler.interval=epoch`" if unit == "step" else "")
        hint = f"{after}; left out, it is the length of the part" if is_part else hint
        which = "its part of the training" if is_part else "the training"
        message = f"`{name}` of {rule.name} is {end}, but {which} has {plural(steps, unit)}"
        yield misuse(f"{path}.{name}", message, hint)
    elif end > steps or (end == steps and not after and end and rule.name not in ("LinearLR", "ConstantLR")):
        yield _beyond(name, rule.name, end, steps, unit, path)
    for at, (part, own) in enumerate(zip(rule.parts, rule.lengths(steps), strict=True)):
        if own > 0:
            yield from _rule_out_of_step(part, own, unit, f"{path}.schedulers.{at}")


def _beyond(name: str, kind: str, end: int, steps: int, unit: str, path: str = "scheduler") -> Problem:
    whole = "the training" if path == "scheduler" else "its part of the training"
    message = f"`{name}` of {kind} is {end}, but {whole} ends after {plural(steps, unit)}"
    return Problem("MW211", f"{path}.{name}", message, f"`{path}.{name}` counts {unit}s", severity="warning")


def _end(rule: TorchScheduler) -> int:
    """The number of steps to a scheduler's end, or to the last of its stages; 0 where it has none of its own."""
    name, _ = ENDS.get(rule.name, (STAGES.get(rule.name, ""), ""))
    given = rule.arguments
    if rule.end:
        return 0
    if name == "total_steps" and given.get(name) is None:
        return int((given.get("epochs") or 0) * (given.get("steps_per_epoch") or 0))
    if name == "":
        return 0
    defaults = {"total_iters": 5, "step_size_up": 2000}
    value = given.get(name, defaults.get(name, 0))
    return int(max(value, default=0) if isinstance(value, list | tuple) else value)


def _key(plan: Plan, path: str) -> str:
    """The override key of a layer."""
    return next((item.key for item in plan.layers if item.path == path), path)


def _refusal(plan: Plan, source: Source, batch_size: int, *, training: bool = True) -> tuple[str, str] | None:
    """The layer that does not run on a batch of that size, and its reason; nothing is allocated."""
    model = on_meta(plan).train(training)
    inside: list[str] = []

    def leave(*_: Any) -> None:
        inside.pop()

    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda _module, _inputs, name=name: inside.append(name))
        module.register_forward_hook(leave)
    inputs = [torch.zeros(one.of(batch_size), dtype=getattr(torch, one.dtype), device="meta") for one in source.given]
    try:
        with torch.no_grad(), FewSteps(1):
            model(*inputs)
    except Exception as error:  # whatever a layer raises
        return inside[-1] if inside else "", sentence(error)
    return None
