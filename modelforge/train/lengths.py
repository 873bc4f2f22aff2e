"""The length of a training, in batches and epochs, and what does not fit it: a batch of one example, a scheduler."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from modelforge.building.build import on_meta
from modelforge.core.errors import Problem
from modelforge.core.quoting import sentence
from modelforge.core.words import plural
from modelforge.planning.plan import Plan
from modelforge.train.arguments import misuse
from modelforge.train.data.read import read
from modelforge.train.data.source import Source
from modelforge.train.optimizers import SchedulerFactory

DEFAULT_EPOCHS = 1000
"""Lightning's, where neither epochs nor steps are limited."""
ENDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "OneCycleLR": ("total_steps", "then it raises an error"),
        "CosineAnnealingLR": ("T_max", "then the learning rate rises again"),
        "PolynomialLR": ("total_iters", "then the learning rate is 0"),
    }
)
"""The argument that is the end of a scheduler, and what follows the end."""
STAGES: Mapping[str, str] = MappingProxyType(
    {
        "StepLR": "step_size",
        "MultiStepLR": "milestones",
        "ConstantLR": "total_iters",
        "LinearLR": "total_iters",
        "CosineAnnealingWarmRestarts": "T_0",
        "CyclicLR": "step_size_up",
    }
)
"""The argument whose step should lie within the training."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """The length of a training; None stands for what the config alone does not determine."""

    rows: int | None
    """Examples to train on."""
    batch_size: int
    trainer: Mapping[str, Any]

    @property
    def num_batches(self) -> int | None:
        """Batches of an epoch."""
        if self.rows is None:
            return None
        whole = math.ceil(self.rows / self.batch_size)
        limit = self.trainer.get("overfit_batches") or self.trainer.get("limit_train_batches")
        limit = 1.0 if limit is None else limit
        return min(whole, limit) if isinstance(limit, int) else int(whole * limit)

    @property
    def last_is_one(self) -> bool:
        """Whether a batch holds one example: the last one of an epoch, or each."""
        if self.batch_size == 1 or self.rows is None:
            return self.batch_size == 1
        return self.rows % self.batch_size == 1 and self.num_batches == math.ceil(self.rows / self.batch_size)

    def steps(self, interval: str) -> int | None:
        """How often a scheduler is stepped; None where that depends on the data."""
        max_steps = self.trainer.get("max_steps", -1)
        epochs = self.trainer.get("max_epochs")
        if epochs is None:
            epochs = -1 if max_steps >= 0 else DEFAULT_EPOCHS
        batches = self.num_batches
        each = None if batches is None else math.ceil(batches / self.trainer.get("accumulate_grad_batches", 1))
        if interval == "step":
            limits = [max_steps] if max_steps >= 0 else []
            limits += [epochs * each] if epochs >= 0 and each is not None else []
            unknown = not limits or (epochs >= 0 and each is None)
        else:
            limits = [epochs] if epochs >= 0 else []
            limits += [max_steps // each] if max_steps >= 0 and each else []
            unknown = not limits or (max_steps >= 0 and not each)
        return None if unknown else min(limits)


def lengths(source: Source, trainer: Mapping[str, Any], *, rows: int | None = None) -> Lengths:
    """The length of a training; data that lies in no file declares its own.

    Args:
        source: The data.
        trainer: Checked arguments of the trainer.
        rows: How many examples there are to train on, once they are read.
    """
    return Lengths(rows if rows is not None else getattr(source, "num_train", None), source.batch_size, trainer)


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
    layer, reason = refused
    key = next((item.key for item in plan.layers if item.path == layer), layer)
    if length.batch_size == 1:
        message = f"a batch is one example, but `{key}` needs more to be trained: {reason}"
        yield Problem("MF050", "data.batch_size", message, "write `data.batch_size=2` or more")
        return
    assert length.rows is not None
    message = (
        f"the last batch of an epoch is one example ({length.rows:,} in batches of {length.batch_size:,}), "
        f"but `{key}` needs more to be trained: {reason}"
    )
    size = next((b for b in range(length.batch_size - 1, 1, -1) if length.rows % b != 1), length.batch_size + 1)
    yield Problem("MF050", "data.batch_size", message, f"write `data.batch_size={size}`")


def out_of_step(scheduler: SchedulerFactory | None, length: Lengths) -> Iterator[Problem]:
    """The problem of a scheduler with another end than the training: an error where it is wrong after its end."""
    if scheduler is None:
        return
    steps, kind = length.steps(scheduler.interval), scheduler.kind.__name__
    name, after = ENDS.get(kind, (STAGES.get(kind, ""), ""))
    end = _end(scheduler, name)
    if not end:
        return
    unit = "epoch" if scheduler.interval == "epoch" else "step"
    if steps is None:
        epochs = length.trainer.get("max_epochs") or 0
        if after and unit == "step" and end <= epochs and length.trainer.get("max_steps", -1) < 0:
            message = f"`{name}` is {end}, but the scheduler is stepped after each batch of {plural(epochs, 'epoch')}"
            yield misuse(f"scheduler.{name}", message, f"{after}: `scheduler.interval=epoch`")
        return
    trains = f"the training has {plural(steps, unit)}"
    if after and end < steps:
        hint = f"{after}: `scheduler.{name}={steps}`"
        hint += ", or `scheduler.interval=epoch`" if unit == "step" else ""
        yield misuse(f"scheduler.{name}", f"`{name}` of {kind} is {end}, but {trains}", hint)
    elif end > steps or (not after and end == steps and kind not in ("LinearLR", "ConstantLR")):
        message = f"`{name}` of {kind} is {end}, but {trains}: it does not get that far"
        yield Problem("MW211", f"scheduler.{name}", message, f"`scheduler.{name}` counts {unit}s", severity="warning")


def _end(scheduler: SchedulerFactory, name: str) -> int:
    """The number of steps to a scheduler's end, or to the last of its stages; 0 where it has none."""
    given = scheduler.arguments
    if name == "total_steps" and given.get(name) is None:
        return int((given.get("epochs") or 0) * (given.get("steps_per_epoch") or 0))
    if name == "":
        return 0
    defaults = {"total_iters": 5, "step_size_up": 2000}
    value = given.get(name, defaults.get(name, 0))
    return int(max(value, default=0) if isinstance(value, list | tuple) else value)


def _refusal(plan: Plan, source: Source, batch_size: int) -> tuple[str, str] | None:
    """The layer that does not run on a batch of that size in training, and its reason; nothing is allocated."""
    model = on_meta(plan).train()
    inside: list[str] = []

    def leave(*_: Any) -> None:
        inside.pop()

    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda _module, _inputs, name=name: inside.append(name))
        module.register_forward_hook(leave)
    inputs = [torch.zeros(one.of(batch_size), dtype=getattr(torch, one.dtype), device="meta") for one in source.given]
    try:
        with torch.no_grad():
            model(*inputs)
    except Exception as error:  # whatever a layer raises
        return inside[-1] if inside else "", sentence(error)
    return None
