"""renamed_files: the files that differ → the same, with each file that has another name in its folder as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from modelforge.review.changed_files import REVIEW, Content, FileDiff, edited
from modelforge.review.values import Path, exact, flat

ALIKE = 0.8
"""The share of equal values from which two files may be one that was renamed and edited.

Much less is what two options of a group have in common: one says `adam`, the other `adamw`.
"""
SIMILAR = 0.5
"""The share of equal values from which a new file is said to be like one that went."""
MAX_PAIRS = 40_000
"""The pairs of files that are compared value by value. Where there would be more, only equal files are paired."""
KINDS = frozenset({"type", "scheme", "init", "_target_"})
"""Keys whose values say what a thing is. Files that differ in these are two things, however much else is equal."""


@dataclass(frozen=True, eq=False)
class _Option:
    """A file of one side alone, in texts that are equal where the values are."""

    path: str
    group: tuple[Any, ...]
    """Its folder, package and kinds of things: only files of one group are paired."""
    whole: str
    """All values in their order."""
    values: frozenset[tuple[Path, str]]

    def likeness(self, other: _Option) -> float:
        """The share of equal values, in the larger of both."""
        return len(self.values & other.values) / max(len(self.values), len(other.values))


def renamed_files(files: Sequence[FileDiff]) -> tuple[FileDiff, ...]:
    """Pairs files of one folder that went and came by what they say: first those that say the same.

    Files of different folders are options of different groups: these are not paired.

    Args:
        files: The files that differ.
    """
    gone = [option for file in files if file.kind == "removed" and (option := _option(file, file.old))]
    come = [option for file in files if file.kind == "added" and (option := _option(file, file.new))]
    names = dict(_equal(gone, come))
    equal = {*names, *names.values()}
    names |= _alike(*([one for one in side if one.path not in equal] for side in (gone, come)))
    known, old_paths = {file.path: file for file in files}, set(names.values())
    like = _similar([one for one in gone if one.path not in old_paths], [one for one in come if one.path not in names])
    return tuple(
        _one(known[names[file.path]], file)
        if file.path in names
        else replace(file, like=like[file.path])
        if file.path in like
        else file
        for file in files
        if file.path not in old_paths
    )


def _option(file: FileDiff, content: Content | None) -> _Option | None:
    """A file of values that composition reads; None for any other."""
    if not file.is_config or file.path == REVIEW or content is None or content.problems or not content.data:
        return None
    values = {path: exact(value) for path, value in flat(content.data).items()}
    kinds = frozenset(text for path, text in values.items() if path[-1] in KINDS or path[-2:-1] == ("layers",))
    group = (file.path.rpartition("/")[0], content.document.package, kinds)
    return _Option(file.path, group, exact(content.data), frozenset(values.items()))


def _equal(gone: Sequence[_Option], come: Sequence[_Option]) -> Iterator[tuple[str, str]]:
    """New path, old path of files that say the same, the order of keys included."""
    waiting = defaultdict[Any, list[str]](list)
    for one in reversed(gone):
        waiting[one.group, one.whole].append(one.path)
    for one in come:
        if paths := waiting.get((one.group, one.whole)):
            yield one.path, paths.pop()


def _alike(gone: Sequence[_Option], come: Sequence[_Option]) -> dict[str, str]:
    """New path → old path of files that say nearly the same, the likest first."""
    waiting = defaultdict[Any, list[_Option]](list)
    for one in gone:
        waiting[one.group].append(one)
    pairs: Mapping[tuple[str, str], float] = {}
    if sum(len(waiting.get(one.group, ())) for one in come) <= MAX_PAIRS:
        pairs = {(old.path, new.path): old.likeness(new) for new in come for old in waiting.get(new.group, ())}
    found: dict[str, str] = {}
    taken: set[str] = set()
    for old, new in sorted(pairs, key=lambda pair: (-pairs[pair], pair)):
        if pairs[old, new] >= ALIKE and old not in taken and new not in found:
            found[new] = old
            taken.add(old)
    return found


def _similar(gone: Sequence[_Option], come: Sequence[_Option]) -> dict[str, str]:
    """Path of a file that came → the path of the likest one that went from its folder, whatever things they are of."""
    if len(gone) * len(come) > MAX_PAIRS:
        return {}
    found: dict[str, str] = {}
    for new in come:
        beside = [old for old in gone if old.group[0] == new.group[0]]
        nearest = max(beside, key=new.likeness, default=None)
        if nearest is not None and new.likeness(nearest) >= SIMILAR:
            found[new.path] = nearest.path
    return found


def _one(old: FileDiff, new: FileDiff) -> FileDiff:
    assert old.old is not None
    assert new.new is not None
    edits, reordered = edited(old.old, new.new)
    return FileDiff(new.path, "changed", old.old, new.new, edits, reordered, old.path)
