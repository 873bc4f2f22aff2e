"""grouped: items with paths → the same items, those of many copies that are alike in one group."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Group(Generic[Item]):
    """Alike items: what to call them, and the first of them."""

    label: str
    first: Item
    count: int


def grouped(items: Iterable[Item], path: Callable[[Item], str], alike: Callable[[Item], Hashable]) -> list[Group[Item]]:
    """Puts items together whose paths differ in numbers only and that are otherwise alike.

    Example:
        >>> paths = ["encoder.0.norm.weight", "encoder.1.norm.weight", "encoder.2.norm.weight", "head.weight"]
        >>> [(group.label, group.count) for group in grouped(paths, str, lambda path: 0)]
        [('encoder.[0-2].norm.weight', 3), ('head.weight', 1)]
    """
    found: dict[Hashable, list[Item]] = {}
    for item in items:
        pattern = tuple("*" if part.isdigit() else part for part in path(item).split("."))
        found.setdefault((pattern, alike(item)), []).append(item)
    groups: list[Group[Item]] = []
    for members in found.values():
        paths = [path(item) for item in members]
        label = _label(paths)
        if label is None:
            groups += [Group(name, item, 1) for name, item in zip(paths, members, strict=True)]
        else:
            groups.append(Group(label, members[0], len(members)))
    return groups


def _label(paths: Sequence[str]) -> str | None:
    """One name for all paths; None where it would name others too."""
    columns = list(zip(*(path.split(".") for path in paths), strict=True))
    choices = [sorted(set(column), key=lambda part: (len(part), part)) for column in columns]
    if prod(len(options) for options in choices) != len(paths):
        return None
    return ".".join(_either(options) for options in choices)


def _either(options: Sequence[str]) -> str:
    if len(options) == 1:
        return options[0]
    numbers = [int(option) for option in options]
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"[{numbers[0]}-{numbers[-1]}]"
    return "{" + ",".join(options) + "}"
