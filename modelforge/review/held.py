"""held: what edits do one by one, and what all of them do → what of the former holds, and what several do together.

What an edit does by itself, another may take back: a larger kernel makes a picture smaller, and a larger padding makes
it larger. What is shown of an edit is true of the new side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from modelforge.review.model_changes import Changes, LayerDiff, ParameterDiff
from modelforge.review.values import ValueChange, exact

Numbers = tuple[int, ...]
"""Of groups of edits."""
Item = TypeVar("Item", LayerDiff, ParameterDiff, ValueChange)
Hold = Callable[[Item, Mapping[Numbers, Item]], tuple[Mapping[Numbers, Item], Item | None]]
"""An item of the whole, and those of the parts → what of each part holds, and what none of them shows."""
SUMS = frozenset({"num_parameters", "ties", "buffers", "results"})
"""Facts about the whole model of which each edit has a share."""


def held(
    whole: Changes, alone: Mapping[Numbers, Changes], every: Numbers
) -> tuple[dict[Numbers, Changes], dict[Numbers, Changes]]:
    """What holds of what each part does by itself, and what is left, by the groups that do it together.

    Args:
        whole: What all edits do.
        alone: What some of them do by themselves.
        every: The groups to name where it is not known which ones work together.
    """
    splits = {
        "layers": _split(whole.layers, {part: found.layers for part, found in alone.items()}, every, _held_layer),
        "parameters": _split(
            whole.parameters, {part: found.parameters for part, found in alone.items()}, every, _held_parameter
        ),
        "totals": _split(whole.totals, {part: found.totals for part, found in alone.items()}, every, _held_value),
    }

    def of(which: int, part: Numbers) -> dict[str, Any]:
        return {name: tuple(split[which].get(part, ())) for name, split in splits.items()}

    parts = dict.fromkeys(part for _, left in splits.values() for part in left)
    return (
        {part: replace(found, **of(0, part)) for part, found in alone.items()},
        {part: replace(whole, **of(1, part)) for part in parts},
    )


def held_values(
    whole: Sequence[ValueChange], alone: Mapping[Numbers, Sequence[ValueChange]], every: Numbers
) -> tuple[dict[Numbers, list[ValueChange]], dict[Numbers, list[ValueChange]]]:
    """The same of composed values."""
    return _split(whole, alone, every, _held_value)


def _split(
    whole: Sequence[Item], alone: Mapping[Numbers, Sequence[Item]], every: Numbers, hold: Hold[Item]
) -> tuple[dict[Numbers, list[Item]], dict[Numbers, list[Item]]]:
    """The items of each part that hold, and those of the whole that none of them shows."""
    kept: dict[Numbers, list[Item]] = {}
    left: dict[Numbers, list[Item]] = {}
    of_parts: dict[Any, dict[Numbers, Item]] = {}
    for part, items in alone.items():
        for item in items:
            of_parts.setdefault(_identity(item), {})[part] = item
    for item in whole:
        owners = of_parts.get(_identity(item), {})
        found, rest = hold(item, owners)
        for part, shown in found.items():
            kept.setdefault(part, []).append(shown)
        if rest is not None:
            several = tuple(sorted(number for part in owners for number in part)) if len(owners) > 1 else every
            left.setdefault(several, []).append(rest)
    return kept, left


def _identity(item: Any) -> Any:
    """What makes items of two differences one: the path on the old side, or else on the new one; of a fact its name."""
    if isinstance(item, ValueChange):
        return item.name
    return (item.old is None, (item.old or item.new).path)


def _says(changes: Sequence[ValueChange]) -> frozenset[tuple[str, str]]:
    return frozenset((change.name, exact(change.new)) for change in changes)


def _held_value(
    whole: ValueChange, owners: Mapping[Numbers, ValueChange]
) -> tuple[Mapping[Numbers, ValueChange], ValueChange | None]:
    found = {part: item for part, item in owners.items() if whole.name in SUMS or exact(item.new) == exact(whole.new)}
    return found, None if found else whole


def _held_layer(
    whole: LayerDiff, owners: Mapping[Numbers, LayerDiff]
) -> tuple[Mapping[Numbers, LayerDiff], LayerDiff | None]:
    """Of a layer of both sides each of its changes is by itself."""
    alike = {part: item for part, item in owners.items() if item.kind == whole.kind}
    if whole.kind != "changed":
        return dict.fromkeys(alike, whole), None if alike else whole
    said = _says(whole.changes)
    found: dict[Numbers, LayerDiff] = {}
    for part, item in alike.items():
        changes = tuple(change for change in item.changes if _says([change]) <= said)
        renames = bool(item.old_path) and (item.path, item.old_path) == (whole.path, whole.old_path)
        if changes or renames:
            name = {} if renames else {"old_path": "", "moved": False, "place": None}
            found[part] = replace(item, changes=changes, **name)
    shown = {change.name for item in found.values() for change in item.changes}
    missing = tuple(change for change in whole.changes if change.name not in shown)
    if whole.old_path and not any(item.old_path for item in found.values()):
        return found, replace(whole, changes=missing)
    return found, replace(whole, changes=missing, old_path="", moved=False, place=None) if missing else None


def _held_parameter(
    whole: ParameterDiff, owners: Mapping[Numbers, ParameterDiff]
) -> tuple[Mapping[Numbers, ParameterDiff], ParameterDiff | None]:
    """A parameter whose values follow from several edits is shown with these alone."""
    alike = [part for part, item in owners.items() if item.kind == whole.kind]
    if whole.kind != "changed":
        return dict.fromkeys(alike, whole), None if alike else whole
    said = _says(whole.changes)
    found: dict[Numbers, ParameterDiff] = {}
    for part in alike:
        own = _says(owners[part].changes)
        if own == said and _start(owners[part]) == _start(whole):
            found[part] = whole
        elif own < said and _start(owners[part]) == _start(whole) and len(owners) == 1:
            found[part] = owners[part]  # what another edit writes into its rule has no effect
    return found, None if found else whole


def _start(item: ParameterDiff) -> tuple[Any, ...]:
    """What is shown of how a parameter starts on the new side."""
    new = item.shown
    return new.shape, new.dtype, new.scheme, new.mean, new.std
