"""edits: what two sides write, interpolations as text → where they differ, and the old side with some of that done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelforge.review.values import ABSENT, Path, exact


@dataclass(frozen=True, slots=True)
class Edit:
    """One key that differs: the outermost one that a side alone has, or the value that both have."""

    kind: Literal["set", "added", "removed", "renamed", "moved"]
    path: Path
    """Of a renamed key the new one; of moved ones the mapping around them."""
    old: Any
    new: Any
    """Of moved keys both are the keys in their order."""
    old_path: Path = ()
    """Where a renamed key was."""

    def reaches(self, path: Path) -> bool:
        """Whether it writes the value at a path, on either side; of moved keys the value is their order."""
        if self.kind == "moved":
            return path == self.path
        return any(start and path[: len(start)] == start for start in (self.path, self.old_path))


def edits(old: Mapping[str, Any], new: Mapping[str, Any], path: Path = ()) -> Iterator[Edit]:
    """Where two mappings differ.

    Example:
        >>> old, new = {"a": {"b": 1}, "c": {"d": 2}}, {"a": {"b": 3}, "e": {"d": 2}}
        >>> [(edit.kind, ".".join(edit.path), edit.old, edit.new) for edit in edits(old, new)]
        [('set', 'a.b', 1, 3), ('renamed', 'e', {'d': 2}, {'d': 2})]
    """
    renamed = _renamed(old, new)
    names = {after: before for before, after in renamed.items()}
    for name, value in new.items():
        here = (*path, name)
        if name in names:
            yield Edit("renamed", here, old[names[name]], value, (*path, names[name]))
        elif name not in old:
            yield Edit("added", here, ABSENT, value)
        elif isinstance(value, Mapping) and isinstance(old[name], Mapping):
            yield from edits(old[name], value, here)
        elif exact(old[name]) != exact(value):
            yield Edit("set", here, old[name], value)
    for name, value in old.items():
        if name not in new and name not in renamed:
            yield Edit("removed", (*path, name), value, ABSENT)
    before = [renamed.get(name, name) for name in old if name in new or name in renamed]
    after = [name for name in new if name in old or name in names]
    if before != after:
        yield Edit("moved", path, before, after)


def moves(every: Sequence[Edit]) -> list[tuple[Edit, ...]]:
    """The edits in groups: a key that went is with the mapping that came and holds it, under the same name, unchanged.

    Example:
        >>> old, new = {"a": {"b": 1}, "c": 2}, {"around": {"layers": {"a": {"b": 1}}}, "c": 3}
        >>> [[".".join(edit.path) for edit in group] for group in moves(list(edits(old, new)))]
        [['around', 'a'], ['c']]
    """
    gone = [edit for edit in every if edit.kind == "removed" and isinstance(edit.old, Mapping)]
    groups = {id(edit): [edit] for edit in every}
    holders: dict[tuple[str, str], Edit] = {}
    for edit in every if gone else ():
        for entry in _entries(edit.new) if edit.kind == "added" else ():
            holders.setdefault(entry, edit)
    for edit in gone:
        if around := holders.get((edit.path[-1], exact(edit.old))):
            groups[id(around)] += groups.pop(id(edit))
    return [tuple(group) for group in groups.values()]


def moved_name(old: Sequence[str], new: Sequence[str]) -> str:
    """The one name that is in another place; empty where several are.

    >>> moved_name(["a", "b", "c", "d"], ["a", "c", "d", "b"]), moved_name(["a", "b", "c"], ["c", "b", "a"])
    ('b', '')
    """

    def without(names: Sequence[str], name: str) -> list[str]:
        return [other for other in names if other != name]

    # What moved is one of the two names at the first place where both differ.
    differ = next((place for place, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), None)
    place = min(len(old), len(new) - 1) if differ is None else differ
    names = [*new[place : place + 1], *(name for name in old[place : place + 1] if name in new)]
    return next((name for name in names if without(old, name) == without(new, name)), "")


def _entries(value: Any) -> Iterator[tuple[str, str]]:
    """The mappings in a mapping, at any depth, as name and text."""
    for name, inner in value.items() if isinstance(value, Mapping) else ():
        if isinstance(inner, Mapping):
            yield name, exact(inner)
            yield from _entries(inner)


def _renamed(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """Keys of the old side that stand in the new one under another name: with the value they had, or in the same place
    with a part of it."""
    gone = [name for name, value in old.items() if name not in new and isinstance(value, Mapping | str) and value]
    waiting = {name: index for index, name in enumerate(new) if name not in old} if gone else {}
    twins: dict[str, list[str]] = {}
    for name in reversed(waiting):
        twins.setdefault(exact(new[name]), []).append(name)
    found: dict[str, str] = {}
    for name in gone:
        if equal := twins.get(exact(old[name])):
            found[name] = equal.pop()
            del waiting[found[name]]
    there = {index: name for name, index in waiting.items()}
    places = {name: index for index, name in enumerate(old)}
    for name in gone:
        twin = there.get(places[name])
        if name not in found and twin is not None and _akin(old[name], new[twin]):
            found[name] = twin
    return found


def _akin(old: Any, new: Any) -> bool:
    """Whether two mappings have a value in common."""
    both = isinstance(old, Mapping) and isinstance(new, Mapping)
    return both and any(name in new and exact(new[name]) == exact(value) for name, value in old.items())


def applied(old: Mapping[str, Any], chosen: Iterable[Edit], new: Mapping[str, Any]) -> dict[str, Any]:
    """The old side with these edits alone; keys take the places that they have on the new side.

    Example:
        >>> old, new = {"a": 1, "b": 2}, {"a": 3, "c": 4, "b": 2}
        >>> applied(old, [edit for edit in edits(old, new) if edit.kind == "added"], new)
        {'a': 1, 'c': 4, 'b': 2}
    """
    result = _copy(old)
    come: dict[Path, set[str]] = {}
    for edit in chosen:
        path = edit.path if edit.kind == "moved" else edit.path[:-1]
        around = _at(result, path)
        if edit.kind == "moved":
            _place(around, come.pop(path, set()), _at(new, path))
            order = [name for name in _at(new, path) if name in around]
            known, moving = set(order), iter(order)
            _reorder(around, [next(moving) if name in known else name for name in around])
            continue
        name = edit.path[-1]
        if edit.kind == "renamed":
            around.pop(edit.old_path[-1])
        if edit.kind == "removed":
            around.pop(name)
        else:
            around[name] = edit.new
            if edit.kind != "set":
                come.setdefault(path, set()).add(name)
    for path, names in come.items():
        _place(_at(result, path), names, _at(new, path))
    return result


def _copy(value: Any) -> Any:
    return {name: _copy(item) for name, item in value.items()} if isinstance(value, Mapping) else value


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value[name]
    return value


def _place(around: dict[str, Any], come: Collection[str], order: Iterable[str]) -> None:
    """Puts each key that came behind all keys that come before it on the new side."""
    if not come:
        return
    there = [name for name in around if name not in come]
    place_of = {name: place for place, name in enumerate(there)}
    behind: dict[int, list[str]] = {}
    last = -1
    for name in order:
        if name in come:
            behind.setdefault(last, []).append(name)
        else:
            last = max(last, place_of.get(name, -1))
    names = list(behind.get(-1, ()))
    for place, name in enumerate(there):
        names += [name, *behind.get(place, ())]
    _reorder(around, names)


def _reorder(around: dict[str, Any], names: Iterable[str]) -> None:
    items = {name: around[name] for name in names}
    around.clear()
    around.update(items)
