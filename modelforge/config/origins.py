"""`Origins`: from an override key to the file, line and column, or the override, that its value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import Any, Literal

import yaml

from modelforge.config.composition import Contribution
from modelforge.config.document import Document
from modelforge.config.nodes import MERGE, items
from modelforge.config.overrides import Assignment
from modelforge.config.references import Cycle, KeyPath, follow, references, split
from modelforge.core.errors import Place, Problem

Part = Literal["key", "value"]
LONG = 6
"""Characters from which a text is found in the middle of another one, and is that text."""


@dataclass(frozen=True)
class Origins:
    """Where each value of a composed config was written. The map is made when the first place is asked for."""

    config: Mapping[str, Any] = field(repr=False)
    """The composed config before its interpolations are resolved."""
    contributions: Sequence[Contribution] = field(repr=False)
    """The files, in the order they were merged."""
    assignments: Sequence[Assignment] = field(repr=False)
    """The overrides of values, in order."""
    outside: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """What overrides took from the environment or another place → how they asked for it: no error shows it."""

    @classmethod
    def empty(cls) -> Origins:
        """The origins of a config that was made by code: no place is known."""
        return cls({}, (), ())

    def place(self, key: str, part: Part = "value") -> Place | None:
        """Where a key, or the value at it, was written.

        For a value that was reached through interpolations, the place of the first `${...}`, with the place of what it
        led to as `via`. For a key that was never written (a default, a missing key), the place of the nearest ancestor.

        Args:
            key: a dotted override key, such as `model.layers.rnn.hidden_size`; items of lists count from 0.
            part: whether the key is asked for or its value.
        """
        try:
            trail = follow(self.config, split(key), last=part == "value")
            via = self._written(trail.end + trail.rest, part)
            if trail.jumps:
                return _via(self._written(trail.jumps[0], "value"), via)
            around = references(trail.value, trail.end) if part == "value" and isinstance(trail.value, str) else ()
            if len(around) == 1 and not trail.rest:
                target = follow(self.config, around[0])
                return _via(via, self._written(target.end + target.rest, "value"))
        except Cycle as cycle:
            return self._written(cycle.paths[0], "value")
        return via

    def written(self, key: str) -> Place | None:
        """Where the value at a key was written, not looking through interpolations; for what is wrong with one."""
        return self._written(split(key), "value")

    def at(self, path: KeyPath) -> Place | None:
        """Where the value at a path was written whose names may hold dots, or None where none was."""
        spot = self._root
        for name in path:
            if name not in spot.children:
                return None
            spot = spot.children[name]
        return spot.value

    def locate(self, problem: Problem) -> Problem:
        """The problem with its place filled in from its path and part, unless it has one."""
        if problem.place is None and problem.part != "parameter":
            problem = problem.at(self.place(problem.key, problem.part))
        return self.hide(problem)

    def hide(self, problem: Problem) -> Problem:
        """The problem without values from outside the config: what `${oc.env:X}` gave is shown as that."""
        if not self.outside:
            return problem
        message, key, hint = (_hide(text, self.outside) for text in (problem.message, problem.key, problem.hint))
        return replace(problem, message=message, key=key, hint=hint)

    @cached_property
    def declared(self) -> frozenset[str]:
        """The top-level keys that the config's own files write, and the config groups that are chosen from.

        A group that is put elsewhere (`model@other`) counts where the config's own defaults list says so, or where an
        interpolation reads it.
        """
        found: set[str] = set()
        moved: set[str] = set()
        for contribution in self.contributions:
            root = contribution.document.root
            head = split(contribution.package)[0] if contribution.package else ""
            if head:
                (found if head == contribution.group.partition("/")[0] else moved).add(head)
            elif not contribution.group and isinstance(root, yaml.MappingNode):
                found.update(items(root))
                found.update(_packages(root))
        if moved - found:
            found.update(moved & self.read)
        return frozenset(found)

    @cached_property
    def read(self) -> frozenset[str]:
        """The top-level keys that interpolations elsewhere read."""
        return frozenset(_read(self.config))

    @property
    def primary(self) -> str:
        """The file that the config begins with."""
        return next((one.document.file for one in self.contributions if one.primary), "config.yaml")

    def empty_file(self, package: str) -> Place | None:
        """The last file that was merged at `package`, if there is nothing in it."""
        merged = [one.document for one in self.contributions if one.package == package]
        root = merged[-1].root if merged else None
        return Place(file=merged[-1].file, line=1) if merged and not (root and root.value) else None

    def _written(self, path: KeyPath, part: Part) -> Place | None:
        """The place of a path or of its nearest ancestor, not looking through references."""
        spot = self._root
        place = spot.value
        for index, name in enumerate(path):
            if name not in spot.children:
                break
            spot = spot.children[name]
            last = index == len(path) - 1
            place = (spot.key if part == "key" and last else spot.value) or place
        return place

    @cached_property
    def _root(self) -> _Spot:
        root = _Spot(None, None)
        for contribution in self.contributions:
            _merge_document(root, contribution)
        for assignment in self.assignments:
            _assign(root, assignment)
        return root


def _packages(root: yaml.MappingNode) -> Iterator[str]:
    """The top-level keys at which a file's defaults list puts others: `other` for `- model@other: mlp`."""
    _, listed = items(root).get("defaults", (None, None))
    for entry in listed.value if isinstance(listed, yaml.SequenceNode) else ():
        names = items(entry) if isinstance(entry, yaml.MappingNode) else (entry.value,)
        for package in (name.partition("@")[2] for name in names):
            if head := split(package.removeprefix("_global_."))[:1]:
                yield head[0]


def _read(value: Any, path: KeyPath = ()) -> Iterator[str]:
    """The top-level keys that interpolations name elsewhere."""
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, item in pairs:
        yield from _read(item, (*path, str(name)))
    if isinstance(value, str) and "${" in value:
        yield from (target[0] for target in references(value, path) if target and target[0] != path[0])


def _hide(text: str, outside: Mapping[str, str]) -> str:
    """The text with each value as it was asked for; of a long one its beginning too, of a short one only as a quote."""
    for value, asked in outside.items():
        text = text.replace(f"`{value}`", f"`{asked}`")
        start = text.find(value[:LONG]) if len(value) >= LONG else -1
        while start >= 0:
            alike = takewhile(lambda pair: pair[0] == pair[1], zip(text[start:], value, strict=False))
            end = start + sum(1 for _ in alike)
            text = text[:start] + asked + text[end:]
            start = text.find(value[:LONG], start + len(asked))
    return text


@dataclass(slots=True)
class _Spot:
    """Where one key of the composed config was written, and its value; children of mappings and lists below it."""

    key: Place | None
    value: Place | None
    children: dict[str, _Spot] = field(default_factory=dict)
    is_mapping: bool = True


def _via(place: Place | None, via: Place | None) -> Place | None:
    if place is None or via is None:
        return place or via
    return Place(place.file, place.line, place.column, place.length, place.source, place.override, via)


def _merge_document(root: _Spot, contribution: Contribution) -> None:
    document = contribution.document
    node = document.root
    if not isinstance(node, yaml.MappingNode):
        return
    start = document.place(node)
    start = Place(start.file, start.line, start.column, 1, start.source)
    spot = root
    if contribution.primary:
        root.value = start
    for name in split(contribution.package):
        below = spot.children.get(name)
        if below is None or not below.is_mapping:
            below = spot.children[name] = _Spot(start, start)
        spot = below
    _merge(spot, node, document, skipped=("defaults",))


def _merge(
    spot: _Spot, node: yaml.MappingNode, document: Document, alias: Place | None = None, skipped: Sequence[str] = ()
) -> None:
    """Later files win, but a mapping that another one refines keeps the place where it was first written.

    Args:
        spot: Where the mapping goes.
        node: The mapping.
        document: Its file.
        alias: The alias that stands for the mapping, if one does.
        skipped: Keys to leave out.
    """
    for name, (key, value) in items(node).items():
        old, by = spot.children.get(name), alias or _alias(node, key, value, document)
        if name in skipped:
            continue
        if isinstance(value, yaml.MappingNode) and old is not None and old.is_mapping:
            _merge(old, value, document, by)
        elif old is None or not (isinstance(value, yaml.ScalarNode) and value.value == "???"):
            spot.children[name] = _spot(key, value, document, by)


def _alias(node: yaml.MappingNode, key: yaml.Node, value: yaml.Node, document: Document) -> Place | None:
    """The key behind which an alias stands for a value (`key: *name`), or for the mapping that has it (`<<: *name`)."""
    if not node.start_mark.index <= key.start_mark.index <= node.end_mark.index:
        return next((document.place(own) for own, _ in node.value if own.tag == MERGE), None)
    return document.place(key) if value.start_mark.index < key.start_mark.index else None


def _spot(key: yaml.Node | None, value: yaml.Node, document: Document, alias: Place | None = None) -> _Spot:
    block = isinstance(value, yaml.CollectionNode) and not value.flow_style
    empty = value.start_mark.index == value.end_mark.index
    key_place, value_place = document.place(key) if key is not None else None, document.place(value)
    if key_place is not None and alias is None and (block or empty):
        # A block begins at its first child: what is said about the whole of it belongs to the line above.
        value_place = key_place
    spot = _Spot(_ends(alias, key_place), _ends(alias, value_place))
    if isinstance(value, yaml.MappingNode):
        _merge(spot, value, document, alias)
    else:
        spot.is_mapping = False
        behind = value.start_mark.index
        for index, item in enumerate(value.value if isinstance(value, yaml.SequenceNode) else ()):
            by = alias or (spot.value if item.start_mark.index <= behind else None)
            behind = max(behind, item.start_mark.index)
            spot.children[str(index)] = _spot(None, item, document, by)
    return spot


def _ends(alias: Place | None, place: Place | None) -> Place | None:
    """The place of an alias, with the other end; the place itself where there is no alias, or they are one."""
    return place if alias is None or alias == place else _via(alias, place)


def _assign(root: _Spot, assignment: Assignment) -> None:
    place = Place(override=assignment.text)
    spot = root
    *parents, name = assignment.path
    for parent in parents:
        spot = spot.children.setdefault(parent, _Spot(place, place))
    if assignment.deletes:
        spot.children.pop(name, None)
    else:
        _set(spot, name, assignment.value, place)


def _set(parent: _Spot, name: str, value: Any, place: Place) -> None:
    """A mapping is merged into what is there, anything else replaces it; a key that a file wrote stays the file's."""
    old = parent.children.get(name)
    key = (old.key if old else None) or place
    if isinstance(value, dict):
        if old is None or not old.is_mapping:
            old = parent.children[name] = _Spot(key, place)
        for child, below in value.items():
            _set(old, str(child), below, place)
    else:
        parent.children[name] = _Spot(key, place, is_mapping=False)
