"""The `optimizer` section → `OptimizerFactory`: an optimizer of torch.optim with checked arguments and groups."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from modelforge.core.errors import Problem, problems_of
from modelforge.core.frozen import FrozenDict
from modelforge.core.paths import join
from modelforge.core.quoting import listed, quoted
from modelforge.planning.plan import Plan
from modelforge.train.arguments import check_arguments, misuse
from modelforge.train.from_torch import classes, construct, example, parse_class, split
from modelforge.train.optimizers.groups import Group, Grouping, Member, unknown_roles
from modelforge.train.optimizers.mup import rates

if TYPE_CHECKING:
    from torch.optim import Optimizer

OWN = ("mup", "no_decay", "groups", "layer_decay")
"""The keys of the section that are not torch's."""
RESERVED = MappingProxyType(
    {"params": "they are the model's", "differentiable": "a training differentiates by weights, and not by its steps"}
)


@dataclass(frozen=True, slots=True)
class OptimizerFactory:
    """Makes the optimizer that a config names; its arguments are checked already."""

    kind: type[Optimizer]
    arguments: Mapping[str, Any]
    mup: bool = False
    """Whether learning rates follow the initializers, as width-aware ones ask for."""
    grouping: Grouping = field(default_factory=Grouping)
    groups: Mapping[str, Group] = FrozenDict()
    """The group of each parameter of a model, by path; see `grouped`."""

    def __call__(self, parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> Optimizer:
        """The optimizer of named parameters."""
        members: dict[str, list[torch.nn.Parameter]] = {}
        options: dict[str, Group] = {}
        for path, parameter in parameters:
            group = self.groups.get(path, Group())
            members.setdefault(group.name, []).append(parameter)
            options[group.name] = group
        listed = [{"params": members[name], "name": name, **group.options} for name, group in options.items()]
        return construct(self.kind, "optimizer", self.arguments, lambda given: self.kind(listed, **given))

    def grouped(self, plan: Plan, frozen: Collection[str] = ()) -> tuple[OptimizerFactory, list[Problem]]:
        """The same with the groups of a model, and what does not go with it.

        Args:
            plan: The model.
            frozen: Paths of parameters that are never trained.
        """
        factors, problems = rates(self.kind, plan.parameters) if self.mup else ({}, [])
        others: dict[str, list[str]] = {}
        for name, first in plan.ties.items():
            others.setdefault(first, []).append(name)
        members = [
            Member(item.path, item.role, tuple(others.get(item.path, ())), factors.get(item.path, 1.0))
            for item in plan.parameters
            if item.path not in frozen
        ]
        problems += self.grouping.problems(members, "optimizer.groups")
        if problems:
            return self, problems
        base = {name: self._value(name) for name in ("lr", "weight_decay") if name in self._signature}
        groups = self.grouping.assign(members, base, decays_by_rate=self._decays_by_rate)
        made = replace(self, groups=FrozenDict(groups))
        shapes = {item.path: item.shape for item in plan.parameters}
        weights = [(path, _on_meta(shapes[path])) for path in groups]
        refused = problems_of(lambda: made(weights))
        hint = "" if not refused or problems_of(lambda: self(weights)) else self._without_groups()
        return made, [replace(problem, key="optimizer.type", hint=problem.hint or hint) for problem in refused]

    def _without_groups(self) -> str:
        """The hint for an optimizer that takes no groups of parameters."""
        asked = {
            "no_decay": self.grouping.no_decay,
            "groups": self.grouping.groups,
            "layer_decay": self.grouping.layer_decay,
            "mup": self.mup,
        }
        keys = [f"optimizer.{name}" for name, value in asked.items() if value]
        return f"without {listed(keys, len(keys), quote='`')} all parameters are one group" if keys else ""

    def state_bytes(self, shape: tuple[int, ...], dtype: torch.dtype) -> int | None:
        """Bytes that it keeps for a parameter after a step; None where no step can be taken on the meta device."""
        parameter = torch.nn.Parameter(torch.empty(shape, dtype=dtype, device="meta"))
        parameter.grad = torch.empty_like(parameter)
        optimizer = self([("parameter", parameter)])
        try:
            optimizer.step()
        except (RuntimeError, TypeError, ValueError):  # it calls a closure, or reads values
            return None
        kept = [value for state in optimizer.state.values() for value in state.values()]
        return sum(value.numel() * value.itemsize for value in kept if isinstance(value, torch.Tensor))

    @property
    def capturable(self) -> bool:
        """Whether its steps are to be recorded, which takes a GPU."""
        return bool(self.arguments.get("capturable"))

    @property
    def evaluates_again(self) -> bool:
        """Whether a step evaluates its batch several times, as often as the loss tells it to."""
        return self.kind is torch.optim.LBFGS

    @property
    def _signature(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.kind).parameters

    @property
    def _decays_by_rate(self) -> bool:
        """Whether a step takes lr · decay off each weight. Elsewhere decay is part of a gradient that is normalised."""
        return self.kind in (torch.optim.SGD, torch.optim.AdamW) or bool(self.arguments.get("decoupled_weight_decay"))

    def _value(self, name: str) -> Any:
        return self.arguments.get(name, self._signature[name].default)


def optimizers() -> dict[str, type[Optimizer]]:
    """Every optimizer that a config may name, by its torch name."""
    return classes(torch.optim, torch.optim.Optimizer)


def optimizer_arguments() -> dict[str, frozenset[str]]:
    """The keys that a section with each `type` may have."""
    return {name: _keys(kind) for name, kind in optimizers().items()}


@cache
def _keys(kind: type[Optimizer]) -> frozenset[str]:
    return frozenset(inspect.signature(kind).parameters) - {*RESERVED}


def parse_optimizer(section: Any) -> tuple[OptimizerFactory | None, list[Problem]]:
    """Checks an `optimizer` section, `{type: AdamW, lr: 1e-3, no_decay: [bias, scale]}`.

    Example:
        >>> factory, problems = parse_optimizer({"type": "AdamW", "lr": 1e-3, "betas": [0.9, 0.95]})
        >>> factory.arguments["betas"], problems
        ((0.9, 0.95), [])
    """
    own, rest = split(section, *OWN)
    kind, arguments, problems = parse_class(rest, "optimizer", "optimizer", optimizers(), RESERVED)
    problems += _wrong(own)
    if kind is None:
        return None, problems
    groups: dict[str, Mapping[str, Any]] = {}
    given = own.get("groups")
    for key, settings in given.items() if isinstance(given, Mapping) else ():
        groups[str(key)], more = _parse_group(kind, arguments, str(key), settings)
        problems += more
    if problems:
        return None, problems
    decay = own.get("layer_decay")
    grouping = Grouping(tuple(own.get("no_decay") or ()), FrozenDict(groups), decay)
    factory = OptimizerFactory(kind, arguments, own.get("mup", False), grouping)
    return factory, problems_of(lambda: factory([("example", example())]))


def _wrong(own: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the keys that are not torch's."""
    mup = own.get("mup", False)
    if not isinstance(mup, bool):
        yield misuse("optimizer.mup", f"`mup` must be true or false, but is {quoted(mup)}")
    roles = own.get("no_decay") or ()
    if not isinstance(roles, list | tuple):
        message = f"`no_decay` must be a list of roles, but is {quoted(roles)}"
        yield misuse("optimizer.no_decay", message, "write `no_decay: [bias, scale]`")
    else:
        yield from unknown_roles((f"optimizer.no_decay.{index}", role) for index, role in enumerate(roles))
    groups = own.get("groups")
    if groups is not None and not isinstance(groups, Mapping):
        message = f"`groups` must be a mapping from roles or globs to settings, but is {quoted(groups)}"
        yield misuse("optimizer.groups", message, "write `groups: {head.*: {lr: 1e-2}}`")
    decay = own.get("layer_decay")
    if decay is not None and not (type(decay) in (int, float) and 0 < decay <= 1):
        message = f"`layer_decay` must be a number greater than 0 and at most 1, but is {quoted(decay)}"
        yield misuse("optimizer.layer_decay", message)


def _parse_group(
    kind: type[Optimizer], base: Mapping[str, Any], key: str, settings: Any
) -> tuple[Mapping[str, Any], list[Problem]]:
    """The settings of one group, and what is wrong with them."""
    path = join("optimizer.groups", key)
    if not isinstance(settings, Mapping) or not settings:
        message = f"a group must be a mapping with settings of {kind.__name__}, but is {quoted(settings)}"
        return {}, [misuse(path, message, "write `{lr: 1e-4}`")]
    values = {str(name): value for name, value in settings.items()}
    arguments, problems = check_arguments(kind, values, path, reserved=RESERVED)
    if not problems:  # torch does not look at the settings of a group
        problems = problems_of(
            lambda: construct(kind, path, arguments, lambda given: kind([example()], **{**base, **given}))
        )
    return arguments, problems


def _on_meta(shape: tuple[int, ...]) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.empty(shape, device="meta"))
