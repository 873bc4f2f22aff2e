"""renamed_files: the files that differ → the same, with each file that has another name in its folder as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelforge.review.affected import Composition
from modelforge.review.changed_files import REVIEW, FileDiff, edited
from modelforge.review.values import exact, flat

ALIKE = 0.6
"""The share of equal values from which two files are one: of its names alone, another model has fewer."""


def renamed_files(files: Sequence[FileDiff]) -> tuple[FileDiff, ...]:
    """Pairs files of one folder that went and came by what they say: first those that say the same.

    Files of different folders are options of different groups: these are not paired.

    Args:
        files: The files that differ.
    """
    gone = [file for file in files if file.kind == "removed" and _is_option(file)]
    come = [file for file in files if file.kind == "added" and _is_option(file)]
    likeness = {
        (old.path, new.path): share
        for old in gone
        for new in come
        if _folder(old.path) == _folder(new.path) and (share := _likeness(old, new)) >= ALIKE
    }
    found: dict[str, str] = {}
    for old, new in sorted(likeness, key=lambda pair: -likeness[pair]):
        if old not in found.values() and new not in found:
            found[new] = old
    known = {file.path: file for file in files}
    return tuple(
        _one(known[found[file.path]], file) if file.path in found else file
        for file in files
        if file.path not in found.values()
    )


def option_of(path: str) -> tuple[str, str]:
    """The group and the name of an option's file; a primary config has no group.

    >>> option_of("experiment/deep/a.yaml"), option_of("config.yaml")
    (('experiment/deep', 'a'), ('', 'config'))
    """
    group, _, name = path.removesuffix(".yaml").rpartition("/")
    return group, name


def with_new_names(found: Composition, names: Mapping[str, str]) -> Composition:
    """A composition of the old side, in which the files have the names of the new one.

    Args:
        found: The composition.
        names: Old path → new path.
    """
    return replace(
        found,
        files=frozenset(names.get(path, path) for path in found.files),
        merged=tuple((package, names.get(path, path)) for package, path in found.merged),
        names={place: names.get(path, path) for place, path in found.names.items()},
    )


def with_choices(found: Composition, choices: Mapping[str, str], config_name: str) -> Composition:
    """A composition with other names of what was chosen.

    Args:
        found: The composition.
        choices: Options by group.
        config_name: The primary config.
    """
    config = found.config
    if config is None:
        return found
    hydra = dict(config.hydra)
    if isinstance(job := hydra.get("job"), Mapping):
        hydra["job"] = {**job, "config_name": config_name}
    return replace(found, config=replace(config, choices={**config.choices, **choices}, hydra=hydra))


def follows_renames(old: Any, new: Any, names: Mapping[str, str]) -> bool:
    """Whether two lists of defaults are the same but for the new names of files.

    >>> names = {"model/a.yaml": "model/b.yaml"}
    >>> follows_renames(["a", {"override /model": "a"}, "c"], ["b", {"override /model": "b"}, "c"], names)
    True
    """
    words = dict[str, str]()
    for before, after in names.items():
        for one, other in _ways(before, after):
            words[one] = other
    return exact(_renamed(old, words)) == exact(new)


def _ways(old: str, new: str) -> Iterator[tuple[str, str]]:
    """How a defaults list may name a file, on both sides."""
    before, after = (path.removesuffix(".yaml") for path in (old, new))
    yield from ((before, after), (f"/{before}", f"/{after}"), (option_of(old)[1], option_of(new)[1]))


def _renamed(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, words) for item in value]
    if isinstance(value, Mapping):
        return {key: _renamed(item, words) for key, item in value.items()}
    return words.get(value, value) if isinstance(value, str) else value


def _is_option(file: FileDiff) -> bool:
    content = file.new or file.old
    return file.is_config and file.path != REVIEW and content is not None and not content.problems


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _likeness(old: FileDiff, new: FileDiff) -> float:
    """The share of values that both have; 2 where nothing differs, the order of keys included."""
    assert old.old is not None
    assert new.new is not None
    if old.old.document.package != new.new.document.package:
        return 0
    before, after = flat(old.old.data), flat(new.new.data)
    if not before or not after:
        return 0
    equal = sum(path in after and exact(after[path]) == exact(value) for path, value in before.items())
    return equal / max(len(before), len(after)) + (exact(old.old.data) == exact(new.new.data))


def _one(old: FileDiff, new: FileDiff) -> FileDiff:
    assert old.old is not None
    assert new.new is not None
    edits, reordered = edited(old.old, new.new)
    return FileDiff(new.path, "changed", old.old, new.new, edits, reordered, old.path)
