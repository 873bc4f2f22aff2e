"""Plain data as typed facts: `{a: {b: 1}}` → `a.b` is 1; and what differs between two of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelforge.core.errors import Place

Path = tuple[str, ...]


class _Absent:
    """What a side without the key has: no value, not even null."""

    def __repr__(self) -> str:
        return "-"


ABSENT: Any = _Absent()


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value that differs; `ABSENT` where a side has no such key."""

    path: Path
    old: Any
    new: Any
    old_place: Place | None = None
    new_place: Place | None = None

    @property
    def name(self) -> str:
        """Its dotted key."""
        return ".".join(self.path)

    def to_dict(self) -> dict[str, Any]:
        """The change as plain data; a side without the key has no entry."""
        values = {side: item for side, item in (("old", self.old), ("new", self.new)) if item is not ABSENT}
        places = {
            "old_place": self.old_place.to_dict() if self.old_place else None,
            "new_place": self.new_place.to_dict() if self.new_place else None,
        }
        return {"name": self.name, **values, **places}


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


def same(old: Any, new: Any) -> bool:
    """Whether two values are one, types included: 1, 1.0, true and "1" are four; the order of keys does not count.

    Example:
        >>> same({"a": 1, "b": 2}, {"b": 2, "a": 1}), same(1, 1.0), same(1, True), same(float("nan"), float("nan"))
        (True, False, False, True)
    """
    return exact(old, sort=True) == exact(new, sort=True)


def exact(data: Any, *, sort: bool = False) -> str:
    """A text that two values share only if they are one; without `sort`, keys in the same order as well."""
    return json.dumps(data, sort_keys=sort, default=repr)


def value_changes(old: Any, new: Any, old_place: Find, new_place: Find) -> Iterator[ValueChange]:
    """What differs between two mappings, in the order of the new one; what only the old has comes last."""
    before, after = flat(old), flat(new)
    for path in dict.fromkeys((*after, *before)):
        one, other = before.get(path, ABSENT), after.get(path, ABSENT)
        if one is ABSENT or other is ABSENT or not (same(one, other) or _one_number(path, one, other)):
            key = ".".join(path)
            places = (
                old_place(key) if one is not ABSENT else None,
                new_place(key) if other is not ABSENT else None,
            )
            yield ValueChange(path, one, other, *places)


def _one_number(path: Path, old: Any, new: Any) -> bool:
    """Whether an init block has the same number with or without a point: its fields are numbers, not batches."""
    kinds = {type(old), type(new)}
    return "init" in path and kinds == {int, float} and old == new
