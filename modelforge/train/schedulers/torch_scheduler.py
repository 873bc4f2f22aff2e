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
RESERVED = MappingProxyType({"optimizer": "it is the config's optimizer"})


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

    def make(self, optimizer: Optimizer, horizon: int, path: str = "scheduler") -> LRScheduler:
        """The scheduler of an optimizer.

        Args:
            optimizer: The optimizer, with its learning rates.
            horizon: The length of the training.
            path: Override key of the section, for problems.
        """
        if self.parts:
            parts = [part.make(optimizer, horizon, f"{path}.schedulers.{at}") for at, part in enumerate(self.parts)]
            return construct(
                self.kind,
                path,
                self.arguments,
                lambda given: self.kind(optimizer=optimizer, schedulers=parts, **given),  # pyright: ignore[reportCallIssue]  # both have them
            )
        end = {self.end: horizon} if self.end else {}
        return construct(
            self.kind, path, self.arguments, lambda given: self.kind(optimizer, **end, **_by_group(given, optimizer))
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
    problems += [*found, *_negative(rest, path)]
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


def _negative(arguments: Mapping[str, Any], path: str) -> list[Problem]:
    """Learning rates below 0: torch takes them."""
    found: list[Problem] = []
    for name in (name for name in ABSOLUTE_RATES if name in arguments):
        given = arguments[name]
        if not all(rate >= 0 for rate in (given if isinstance(given, Sequence) else [given])):
            found.append(misuse(f"{path}.{name}", f"`{name}` must be at least 0, but is {quoted(given)}"))
    return found


def _by_group(arguments: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """A scheduler's arguments, with its learning rates in the ratio of those of the optimizer's groups."""
    lr = optimizer.defaults["lr"]
    ratios = [group["lr"] / lr if lr else 1.0 for group in optimizer.param_groups]
    own = {
        name: value for name, value in arguments.items() if name in ABSOLUTE_RATES and isinstance(value, int | float)
    }
    return {**arguments, **{name: [value * ratio for ratio in ratios] for name, value in own.items()}}
