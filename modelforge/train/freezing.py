"""The `freeze` section → `Freezing`: parameters that are not trained, at all or before an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from modelforge.core.errors import Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.paths import is_below, join, matches, parent
from modelforge.core.quoting import listed, quoted
from modelforge.core.suggestions import did_you_mean, nearest
from modelforge.core.words import plural
from modelforge.planning.plan import Plan
from modelforge.train.arguments import misuse

EXAMPLE = "write `freeze: [stem.*]`, or `freeze: {stem.*: 3}` to train it after 3 epochs"
MAX_LISTED = 3
"""Parameters that one problem names."""


@dataclass(frozen=True, slots=True)
class Freezing:
    """Which parameters are frozen, and for how many epochs."""

    epochs: Mapping[str, int | None] = FrozenDict()
    """By path of a parameter: for how many epochs it is frozen; None for all."""
    thaws: Mapping[str, int] = FrozenDict()
    """The globs that thaw, with the number of epochs."""

    @property
    def never_trained(self) -> frozenset[str]:
        """Parameters that are frozen throughout."""
        return frozenset(path for path, epochs in self.epochs.items() if epochs is None)

    def is_frozen(self, path: str, epoch: int) -> bool:
        """Whether a parameter is frozen in an epoch, counted from 0."""
        if path not in self.epochs:
            return False
        epochs = self.epochs[path]
        return epochs is None or epoch < epochs

    def apply(self, model: nn.Module, epoch: int) -> None:
        """Freezes and thaws the parameters of a model that is in training mode, as an epoch asks for.

        Norms with running statistics in frozen modules are in evaluation mode: the statistics stay, and are used.
        """
        if not self.epochs:
            return
        paths = [path for path, _ in model.named_parameters()]
        for path, parameter in model.named_parameters():
            if path in self.epochs:
                parameter.requires_grad_(not self.is_frozen(path, epoch))
        for path, module in model.named_modules():
            if isinstance(module, _NormBase) and module.track_running_stats:
                around = _parameters_around(path, paths)
                if all(name in self.epochs for name in around):
                    module.train(not all(self.is_frozen(name, epoch) for name in around))

    def late(self, num_epochs: int | None) -> Iterator[Problem]:
        """Warnings about parameters that are to be trained after the training has ended."""
        if num_epochs is None:
            return
        for glob, epochs in self.thaws.items():
            if epochs >= num_epochs:
                frozen = f"`{glob}` is frozen for {plural(epochs, 'epoch')}"
                message = f"{frozen}, but the training has {num_epochs:,}: it is never trained"
                hint = "freeze it for fewer epochs, or write null to freeze it to the end"
                yield Problem("MW211", join("freeze", glob), message, hint, part="key", severity="warning")


def parse_freeze(section: Any, plan: Plan) -> tuple[Freezing, list[Problem]]:
    """Checks a `freeze` section: globs of parameters, or a mapping from them to a number of epochs (null for all).

    Args:
        section: The section; None freezes nothing.
        plan: The model.
    """
    given = _given(section)
    if given is None:
        message = f"`freeze` must be a list of globs, or a mapping from them to epochs, but is {quoted(section)}"
        return Freezing(), [misuse("freeze", message, EXAMPLE)]
    names = {item.path: [item.path] for item in plan.parameters}
    for name, first in plan.ties.items():
        names[first].append(name)
    epochs: dict[str, int | None] = {}
    by: dict[str, str] = {}
    problems: list[Problem] = []
    for key, glob, number in given:
        if number is not None and not (type(number) is int and number >= 1):
            message = f"`{glob}` must be frozen for a whole number of epochs, or null for all, but is {quoted(number)}"
            problems.append(misuse(key, message))
            continue
        covered = [path for path, known in names.items() if any(matches(name, [glob]) for name in known)]
        if not covered:
            message = f"`{glob}` matches no parameter"
            problems.append(misuse(key, message, _suggestion(glob, names)))
        if twice := [path for path in covered if path in by and epochs[path] != number]:
            message = f"`{by[twice[0]]}` and `{glob}` freeze {listed(twice, MAX_LISTED, quote='`')} for different times"
            problems.append(misuse(key, message, "narrow one of them"))
        epochs |= dict.fromkeys(covered, number)
        by |= dict.fromkeys(covered, glob)
    if not problems and names and len(epochs) == len(names):
        message = "every parameter is frozen at the start, so there is nothing to train"
        problems.append(misuse("freeze", message, "leave the last layer out"))
    thaws = {glob: number for _, glob, number in given if type(number) is int}
    return Freezing(FrozenDict(epochs), FrozenDict(thaws)), problems


def _given(section: Any) -> list[tuple[str, str, Any]] | None:
    """Key, glob and epochs of each entry; None where the section has no such form."""
    if section is None:
        return []
    if isinstance(section, Mapping):
        return [(join("freeze", glob), str(glob), number) for glob, number in section.items()]
    if isinstance(section, list | tuple) and all(isinstance(glob, str) for glob in section):
        return [(f"freeze.{index}", glob, None) for index, glob in enumerate(section)]
    return None


def _suggestion(glob: str, paths: Iterable[str]) -> str:
    """The nearest path or layer, or all layers."""
    layers = dict.fromkeys(f"{path.partition('.')[0]}.*" for path in paths)
    return nearest(glob, [*layers, *paths]) or did_you_mean(glob, layers)


def _parameters_around(path: str, paths: Iterable[str]) -> list[str]:
    """The parameters of a module, or where it has none, of the nearest one around it that has some."""
    paths = list(paths)
    while not (found := [name for name in paths if is_below(name, path)]):
        path = parent(path)
    return found
