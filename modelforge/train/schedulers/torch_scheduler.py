"""A scheduler of torch.optim, or several of them in a row or at once, as a config declares it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from torch.optim import lr_scheduler

from modelforge.core.errors import Problem
from modelforge.core.quoting import quoted
from modelforge.core.words import plural
from modelforge.train.arguments import misuse
from modelforge.train.from_torch import classes, construct, parse_class

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

ABSOLUTE_RATES = ("base_lr", "max_lr")
"""Arguments of schedulers that take the place of the optimizer's learning rate."""
LEAST: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("T_max", "step_size", "total_iters", "step_size_up", "milestones"), 1),
        **dict.fromkeys((*ABSOLUTE_RATES, "eta_min", "min_lr", "gamma", "factor", "power", "patience", "cooldown"), 0),
    }
)
"""What the arguments must be at least: torch takes less, and divides by 0, or climbs the loss."""
ENDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "OneCycleLR": ("total_steps", "then it raises an error"),
        "CosineAnnealingLR": ("T_max", "then the learning rate rises again"),
        "PolynomialLR": ("total_iters", "then the learning rate is 0"),
    }
)
"""The argument that is the end of a scheduler, by default that of the training, and what follows the end."""
OF_OTHERS = ("SequentialLR", "ChainedScheduler")
"""Schedulers that are made of a list of others."""
RESERVED = MappingProxyType(
    {"optimizer": "it is the config's optimizer", "last_epoch": "a resumed run goes on where it was"}
)


@dataclass(frozen=True, slots=True)
class TorchScheduler:
    """A class of torch.optim.lr_scheduler with checked arguments."""

    kind: type[LRScheduler]
    arguments: Mapping[str, Any]
    parts: tuple[TorchScheduler, ...] = ()
    """The schedulers that it is made of."""

    @property
    def name(self) -> str:
        return self.kind.__name__

    @property
    def end(self) -> str | None:
        """The argument that is to be the length of the training; None where there is none, or where it is given."""
        name, _ = ENDS.get(self.name, ("", ""))
        given = self.arguments.get(name) is not None or "steps_per_epoch" in self.arguments
        return name if name and not given else None

    @property
    def needs_horizon(self) -> bool:
        """Whether it depends on the length of the training."""
        return self.end is not None or any(part.needs_horizon for part in self.parts)

    def lengths(self, horizon: int) -> list[int]:
        """The length of each part in a training: of a `SequentialLR` from one milestone to the next."""
        if self.name != "SequentialLR":
            return [horizon] * len(self.parts)
        ends = [min(milestone, horizon) for milestone in (*self.arguments["milestones"], horizon)]
        return [end - start for start, end in pairwise((0, *ends))]

    def make(self, optimizer: Optimizer, horizon: int) -> LRScheduler:
        """The scheduler of an optimizer.

        Args:
            optimizer: The optimizer, with its learning rates.
            horizon: The length of the training.
        """
        lr = optimizer.defaults["lr"]
        ratios = [group["lr"] / lr if lr else 1.0 for group in optimizer.param_groups]
        return self._made(optimizer, horizon, ratios, "scheduler")

    def _made(self, optimizer: Optimizer, horizon: int, ratios: Sequence[float], path: str) -> LRScheduler:
        """The scheduler; `ratios` are those of the groups' learning rates, which parts made before it have changed."""
        if self.parts:
            parts = [
                part._made(optimizer, max(length, 1), ratios, f"{path}.schedulers.{at}")
                for at, (part, length) in enumerate(zip(self.parts, self.lengths(horizon), strict=True))
            ]
            return construct(
                self.kind,
                path,
                self.arguments,
                lambda given: self.kind(optimizer=optimizer, schedulers=parts, **given),  # pyright: ignore[reportCallIssue]  # both have them
            )
        end = {self.end: horizon} if self.end else {}
        return construct(
            self.kind, path, self.arguments, lambda given: self.kind(optimizer, **end, **_by_group(given, ratios))
        )


def schedulers() -> dict[str, type[LRScheduler]]:
    """Every learning-rate scheduler of torch that a config may name."""
    return classes(lr_scheduler, lr_scheduler.LRScheduler)


def parse_torch(section: Any, path: str, others: Sequence[str] = ()) -> tuple[TorchScheduler | None, list[Problem]]:
    """Checks a section that names a scheduler of torch.

    Args:
        section: The section, without keys that are not torch's.
        path: Its override key.
        others: Other names that may stand as `type`, for hints.
    """
    values: Any = dict(section) if isinstance(section, Mapping) else section
    name = str(values.get("type")) if isinstance(section, Mapping) else ""
    parts: list[TorchScheduler] = []
    found: list[Problem] = []
    reserved = RESERVED
    end = ENDS[name][0] if name in ENDS and ENDS[name][0] not in values else None
    if end is not None:
        values[end] = 1  # the length of the training is not known yet
    if name in OF_OTHERS:
        reserved = {**RESERVED, "schedulers": "they are read apart"}
        parts, found = _parse_parts(name, values.pop("schedulers", None), values.get("milestones"), path)
    kind, arguments, problems = parse_class(values, path, "scheduler", schedulers(), reserved, others)
    rest = {name: value for name, value in arguments.items() if name != end}
    problems += [*found, *_too_small(rest, path)]
    return (None if kind is None or problems else TorchScheduler(kind, rest, tuple(parts))), problems


def _parse_parts(name: str, listed: Any, milestones: Any, path: str) -> tuple[list[TorchScheduler], list[Problem]]:
    if not isinstance(listed, list | tuple) or not listed:
        message = f"{name} needs a list of `schedulers`, but has {quoted(listed)}"
        return [], [misuse(path, message, "write `schedulers: [{type: LinearLR}, {type: ExponentialLR, gamma: 0.9}]`")]
    parts: list[TorchScheduler] = []
    problems: list[Problem] = []
    for index, section in enumerate(listed):
        part, found = parse_torch(section, f"{path}.schedulers.{index}")
        if part is not None and part.kind is lr_scheduler.ReduceLROnPlateau:
            message = f"ReduceLROnPlateau follows a metric, and cannot be part of {name}"
            found.append(misuse(f"{path}.schedulers.{index}.type", message))
        if part is not None and part.parts and name == "SequentialLR":
            message = f"{part.name} cannot be part of SequentialLR, which sets the step of each part"
            found.append(misuse(f"{path}.schedulers.{index}.type", message, "name its schedulers in the outer list"))
        problems += found
        parts += [part] if part is not None else []
    if name == "SequentialLR" and isinstance(milestones, list | tuple):
        rising = all(one < other for one, other in pairwise(milestones))
        if len(milestones) != len(listed) - 1 or not rising:
            message = (
                f"`milestones` must be {plural(len(listed) - 1, 'rising number')}, but is {quoted(list(milestones))}"
            )
            problems.append(misuse(f"{path}.milestones", message, "each is the step at which the next one begins"))
    return parts, problems


def _too_small(arguments: Mapping[str, Any], path: str) -> list[Problem]:
    """Arguments below what they must be at least; NaN is, too."""
    found: list[Problem] = []
    for name, given in arguments.items():
        least = LEAST.get(name)
        if least is None or given is None:
            continue
        if not all(number >= least for number in (given if isinstance(given, list | tuple) else [given])):
            message = f"`{name}` must be at least {least}, but is {quoted(given)}"
            found.append(misuse(f"{path}.{name}", message))
    return found


def _by_group(arguments: Mapping[str, Any], ratios: Sequence[float]) -> dict[str, Any]:
    """A scheduler's arguments, with its learning rates in the ratio of those of the optimizer's groups."""
    own = {
        name: value for name, value in arguments.items() if name in ABSOLUTE_RATES and isinstance(value, int | float)
    }
    return {**arguments, **{name: [value * ratio for ratio in ratios] for name, value in own.items()}}
