"""The `scheduler` section → `SchedulerFactory`: a scheduler of torch.optim, or a curve over the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import ValidationError
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from modelforge.core.complaints import Owner, problems
from modelforge.core.errors import Problem, problems_of
from modelforge.core.quoting import quoted
from modelforge.core.words import plural
from modelforge.train.arguments import misuse
from modelforge.train.from_torch import example, split
from modelforge.train.schedulers.curves import CURVES, Curve
from modelforge.train.schedulers.monitor import PLATEAU, with_monitor, wrong_monitor
from modelforge.train.schedulers.torch_scheduler import RESERVED, TorchScheduler, parse_torch, schedulers

if TYPE_CHECKING:
    from torch.optim import Optimizer

Interval = Literal["epoch", "step"]
SOME_LENGTH = 100
"""Of a training that is not known yet."""


@dataclass(frozen=True, slots=True)
class SchedulerFactory:
    """Makes the scheduler that a config names, and the interval at which Lightning steps it."""

    name: str
    """Its `type` in the config."""
    rule: Curve | TorchScheduler
    interval: Interval = "epoch"
    monitor: str | None = None
    length: int | None = None
    """Of the training, in intervals."""

    def __call__(self, optimizer: Optimizer, validates_every: int | None = 1) -> dict[str, Any]:
        """The scheduler of an optimizer; where it follows a metric, it is stepped after each validation."""
        timing = {"scheduler": self._make(optimizer), "interval": self.interval}
        return timing | ({"monitor": self.monitor, "frequency": validates_every or 1} if self.monitor else {})

    def over(self, length: int | None) -> SchedulerFactory:
        """The same for a training of so many intervals."""
        return replace(self, length=length)

    @property
    def horizon(self) -> int | None:
        """The end of its curve, in intervals; None where it is the training's, whose length is not known."""
        own = self.rule.horizon if isinstance(self.rule, Curve) else None
        return own if own is not None else self.length

    @property
    def keeps_length(self) -> bool:
        """Whether a training that goes on keeps the length that it began with."""
        return isinstance(self.rule, TorchScheduler) and self.rule.needs_horizon

    def wrong_length(self, began: int | None) -> Problem | None:
        """The problem of a training that goes on with another length, where a scheduler of torch keeps the old one."""
        if not self.keeps_length or began in (None, self.length):
            return None
        was, now = (plural(number or 0, self.interval) for number in (began, self.length))
        message = (
            f"the checkpoint comes from a training of {was}, and this one has {now}, but {self.name} keeps its length"
        )
        hint = "`scheduler=cosine`, `linear` and `wsd` follow a new one: choose one of them from the start"
        return misuse("scheduler", message, hint)

    def realign(self, scheduler: LRScheduler) -> None:
        """Sets the learning rates of a resumed training to those of its own length, which may be a new one."""
        if isinstance(self.rule, Curve):
            factor = self._factor(scheduler.last_epoch)
            scheduler._last_lr = [base * factor for base in scheduler.base_lrs]
            for group, lr in zip(scheduler.optimizer.param_groups, scheduler._last_lr, strict=True):
                group["lr"] = lr

    def _make(self, optimizer: Optimizer) -> LRScheduler:
        if isinstance(self.rule, TorchScheduler):
            return self.rule.make(optimizer, self.horizon or SOME_LENGTH)
        # A function, not a method: LambdaLR saves the fields of any other callable, and restores them.
        return LambdaLR(optimizer, lambda step: self._factor(step))

    def _factor(self, step: int) -> float:
        assert isinstance(self.rule, Curve)
        return self.rule.factor(step, self.horizon or SOME_LENGTH)


def scheduler_arguments() -> dict[str, frozenset[str]]:
    """The keys that a section with each `type` may have, apart from `interval`."""
    of_torch = {name: _keys(kind) for name, kind in schedulers().items()}
    of_torch[PLATEAU] |= {"monitor"}
    return of_torch | {name: frozenset(kind.model_fields) for name, kind in CURVES.items()}


@cache
def _keys(kind: type) -> frozenset[str]:
    return frozenset(signature(kind).parameters) - {*RESERVED}


def parse_scheduler(
    section: Any, metrics: Mapping[str, Literal["min", "max"]], trainer: Any = None, metric: str = "val/loss"
) -> tuple[SchedulerFactory | None, list[Problem]]:
    """Checks a `scheduler` section, `{type: cosine, warmup: 0.05}` or `{type: StepLR, step_size: 10}`; None means none.

    Args:
        section: The section.
        metrics: The metrics that a scheduler may follow, each with its better direction.
        trainer: The `trainer` section, which sets when there is a validation.
        metric: The optimized one, which a plateau follows by default.
    """
    if section is None:
        return None, []
    followed = with_monitor(section, metrics, metric) if isinstance(section, Mapping) else section
    timing, rest = split(followed, "interval", "monitor")
    name = rest.get("type") if isinstance(rest, Mapping) else None
    rule, found = _parse_curve(str(name), rest) if name in CURVES else parse_torch(rest, "scheduler", (*CURVES,))
    interval = timing.get("interval", "step" if name in CURVES else "epoch")
    if interval not in ("epoch", "step"):
        message = f"`interval` must be 'epoch' or 'step', but is {quoted(interval)}"
        found.insert(0, misuse("scheduler.interval", message))
    known = None if rule is None else str(name)
    mode = rest.get("mode") if isinstance(rest, Mapping) else None
    found += wrong_monitor(known, mode, {**timing, "interval": interval}, metrics, trainer)
    if rule is None or found:
        return None, found
    factory = SchedulerFactory(str(name), rule, interval, timing.get("monitor"))
    return factory, problems_of(lambda: factory(torch.optim.SGD([example()], lr=0.1, momentum=0.9)))


def _parse_curve(name: str, section: Mapping[str, Any]) -> tuple[Curve | None, list[Problem]]:
    kind = CURVES[name]
    values = {str(key): value for key, value in section.items() if key != "type"}
    try:
        return kind.model_validate(values), []
    except ValidationError as error:
        owner = Owner(f"the curve `{name}`", model=kind, missing="MF051", unknown="MF051", wrong="MF051")
        return None, problems(error, "scheduler", owner)
