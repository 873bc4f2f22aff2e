"""Values of plain data by path (`{a: {b: 1}}` → `a.b` is 1), and what differs between two such mappings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from modelforge.core.errors import Place

Path = tuple[str, ...]


class _Absent:
    """Stands for a key that a side does not have."""

    def __repr__(self) -> str:
        return "-"


ABSENT: Any = _Absent()


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value that differs, and where each side writes it; `ABSENT` where a side has no such key in its config, None
    where it has no such fact."""

    name: str
    old: Any
    new: Any
    old_place: Place | None = None
    new_place: Place | None = None
    path: Path = ()
    """The keys that lead to a value of a config; `name` joins them by dots."""

    def to_dict(self) -> dict[str, Any]:
        """The change as plain data; a side without the key has no entry."""
        values = {side: item for side, item in (("old", self.old), ("new", self.new)) if item is not ABSENT}
        places = {"old_place": self.old_place, "new_place": self.new_place}
        shown = {name: place.to_dict() if place else None for name, place in places.items()}
        return {"name": self.name, **values, **shown}


Find = Callable[[str], Place | None]


def flat(data: Any, path: Path = ()) -> dict[Path, Any]:
    """Every value by its path. A list is one value: its items have no names.

    Example:
        >>> flat({"a": {"b": 1, "c": {}}, "d": [1, 2]})
        {('a', 'b'): 1, ('a', 'c'): {}, ('d',): [1, 2]}
    """
    if not isinstance(data, Mapping) or not data:
        return {path: data} if path else {}
    return {place: item for key, child in data.items() for place, item in flat(child, (*path, str(key))).items()}


def meet(one: Path, other: Path) -> bool:
    """Whether one path is the other, or above it."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def same(old: Any, new: Any) -> bool:
    """Whether two values are equal, types included: 1, 1.0, true and "1" differ; the order of keys does not count.

    Example:
        >>> same({"a": 1, "b": 2}, {"b": 2, "a": 1}), same(1, 1.0), same(1, True), same(float("nan"), float("nan"))
        (True, False, False, True)
    """
    return exact(old, sort=True) == exact(new, sort=True)


def exact(data: Any, *, sort: bool = False) -> str:
    """A text that two values share only if they are equal; without `sort`, keys in the same order as well."""
    return json.dumps(data, sort_keys=sort, default=repr)


AROUND_INIT = frozenset({"init", "model", "layers", "blocks"})
"""Sections of a config, and of the file of a model, that hold init blocks."""
NAMING = frozenset({"layers", "blocks", "args", "input", "inputs"})
"""Sections whose keys are names, so that `init` may be one."""


STEPS = (("data", "augment"), ("callbacks",))
"""The mappings of a config in which the order counts, with those inside: steps that are done one after the other."""
LAYERS = frozenset({"layers", "branches", "input", "outputs"})
"""The mappings of a model in which the order counts, as its plan shows where it has one."""


def value_changes(old: Any, new: Any, old_place: Find, new_place: Find) -> Iterator[ValueChange]:
    """The values that differ between two mappings, in the order of the new one; those of the old alone come last.

    Example:
        >>> steps = {"flip": "RandomHorizontalFlip", "crop": {"type": "RandomCrop"}}
        >>> orders = (["flip", "crop"], ["crop", "flip"])
        >>> old, new = ({"data": {"augment": {name: steps[name] for name in names}}} for names in orders)
        >>> [(one.name, one.old, one.new) for one in value_changes(old, new, lambda key: None, lambda key: None)]
        [('data.augment', ['flip', 'crop'], ['crop', 'flip'])]
    """
    before, after = flat(old), flat(new)
    for path in dict.fromkeys((*after, *before)):
        one, other = before.get(path, ABSENT), after.get(path, ABSENT)
        if one is ABSENT or other is ABSENT or not (same(one, other) or _one_number(path, one, other)):
            key = ".".join(path)
            old_at, new_at = (None if one is ABSENT else old_place(key)), (None if other is ABSENT else new_place(key))
            yield ValueChange(key, one, other, old_at, new_at, path)
    for path, one, other in _exchanged(old, new):
        if _is_ordered(path):
            yield _in_another_order(path, one, other, old_place, new_place)


def exchanged_layers(old: Any, new: Any, old_place: Find, new_place: Find) -> Iterator[ValueChange]:
    """The layers, inputs and outputs that come in another order; of models that have a plan, it shows what follows.

    Example:
        >>> old, new = ({"model": {"layers": dict.fromkeys(names, "ReLU")}} for names in ("ab", "ba"))
        >>> [(one.name, one.old, one.new) for one in exchanged_layers(old, new, lambda key: None, lambda key: None)]
        [('model.layers', ['a', 'b'], ['b', 'a'])]
    """
    for path, one, other in _exchanged(old, new):
        if path[:1] == ("model",) and (path[-1] in LAYERS or path[-2:-1] == ("copies",)):
            yield _in_another_order(path, one, other, old_place, new_place)


def _in_another_order(path: Path, old: Any, new: Any, old_place: Find, new_place: Find) -> ValueChange:
    key = ".".join(path)
    return ValueChange(key, old, new, old_place(key), new_place(key), path)


def _is_ordered(path: Path) -> bool:
    """Whether the order counts in a mapping: steps, and renames, each of which sees what the one before made."""
    renames = path[-1:] == ("rename",) and path[0] in ("weights", *AROUND_INIT)
    return renames or any(path[: len(steps)] == steps for steps in STEPS)


def _exchanged(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[Path, list[str], list[str]]]:
    """The mappings of named items whose common names come in another order, with these names."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return
    before, after = [str(name) for name in old if name in new], [str(name) for name in new if name in old]
    if before != after and all(map(_holds_items, (old, new))):
        yield path, before, after
    for name in old:
        if name in new:
            yield from _exchanged(old[name], new[name], (*path, str(name)))


def _holds_items(value: Mapping[Any, Any]) -> bool:
    """Whether a mapping may hold items by names: each is a text, a mapping or nothing, where an item has a `type`."""
    return "type" not in value and all(item is None or isinstance(item, Mapping | str) for item in value.values())


def _one_number(path: Path, old: Any, new: Any) -> bool:
    """Whether an init block has the same number with or without a decimal point: its fields are real numbers.

    >>> _one_number(("model", "layers", "up", "init", "gain"), 1, 1.0)
    True
    >>> _one_number(("model", "layers", "init", "args", "p"), 1, 1.0)
    False
    """
    named = any(key == "init" and before not in NAMING for before, key in pairwise(("", *path)))
    return path[0] in AROUND_INIT and named and {type(old), type(new)} == {int, float} and old == new
