"""changed_files: two config folders → the files that differ, and the values in them that differ."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml

from modelforge.config.composition import plain
from modelforge.config.document import Document, Documents
from modelforge.config.folder import is_inside
from modelforge.config.nodes import items
from modelforge.config.trust import outside
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.limits import MAX_COMPARED_BYTES, MAX_FILES
from modelforge.review.sides import Side
from modelforge.review.values import ValueChange, exact, value_changes

SKIPPED = frozenset({".git", "__pycache__", "node_modules"})
REVIEW = "review.yaml"
"""The file in a config folder that says how its changes are reviewed; no config."""
LEADING = frozenset({"defaults", "<<"})
"""Keys of a file that may lead to others: its defaults list, and what is merged into it, which may hold one."""
PACKAGE = "# @package"
"""The name of a change of the package that a file's header names."""


Presence = Literal["added", "removed", "changed"]
"""Whether a file is on one side alone, or on both."""


@dataclass(frozen=True)
class Content:
    """A config file of one side."""

    document: Document
    data: dict[str, Any]
    """Its values, interpolations as text; empty where it cannot be read."""
    problems: tuple[Problem, ...] = ()

    def place(self, key: str) -> Place | None:
        """Where a key of the file is written, or the nearest one around it."""
        node: yaml.Node | None = self.document.root
        rest = key
        while isinstance(node, yaml.MappingNode) and rest:
            below = items(node)
            name = max((name for name in below if rest == name or rest.startswith(f"{name}.")), key=len, default=None)
            if name is None:
                break
            node = below[name][1]
            rest = rest[len(name) + 1 :]
        return self.document.place(node) if node is not None else None


@dataclass(frozen=True)
class FileDiff:
    """A file that is on one side only, or differs."""

    path: str
    """Below the config folder."""
    kind: Presence
    old: Content | None
    """None where there is no such file, or composition cannot read it."""
    new: Content | None
    edits: tuple[ValueChange, ...] = ()
    """The values that differ."""
    reordered: bool = False
    """Whether only the order of its keys differs."""
    old_path: str = ""
    """Its path on the old side, where it has another name there."""
    like: str = ""
    """Of an added file the path of a removed one that is similar."""

    @property
    def is_config(self) -> bool:
        """Whether composition reads such files."""
        return self.path.endswith(".yaml")

    @property
    def formatting(self) -> bool:
        """Whether nothing differs but formatting, comments and the order of keys."""
        readable = self.old is not None and self.new is not None and not (self.old.problems or self.new.problems)
        return self.kind == "changed" and readable and not (self.edits or self.old_path)

    def to_dict(self) -> dict[str, Any]:
        """The difference as plain data."""
        return {
            "path": self.path,
            "kind": self.kind,
            "old_path": self.old_path or None,
            "semantic": not self.formatting,
            "edits": [edit.to_dict() for edit in self.edits],
        }


def changed_files(
    old: Side, new: Side, documents: Documents | None = None
) -> tuple[tuple[FileDiff, ...], tuple[str, ...]]:
    """The files that differ, and the paths of all.

    Args:
        old: The old side.
        new: The new side.
        documents: Files that were parsed; those that differ are added.

    Raises:
        ForgeError: a folder holds too many files.
    """
    if os.path.abspath(old.folder) == os.path.abspath(new.folder):
        return (), tuple(sorted(_files(new)))
    before, after = _files(old), _files(new)
    paths = tuple(sorted({*before, *after}))
    return tuple(
        _file_diff(path, old if path in before else None, new if path in after else None, documents)
        for path in paths
        if path not in before or path not in after or not _equal(before[path], after[path])
    ), paths


def _files(side: Side) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder, folders, names in os.walk(side.folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        # A link to a folder is one thing: what it leads to is not followed.
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in (*names, *links):
            path = Path(folder, name)
            found[path.relative_to(side.folder).as_posix()] = path
        if len(found) > MAX_FILES:
            message = f"`{side.shown_as}` holds more than {MAX_FILES:,} files"
            raise ForgeError([Problem("MF060", side.name, message, "name the config folder: `--conf DIR`")])
    found.pop(".git", None)
    return found


def _equal(one: Path, other: Path) -> bool:
    facts = [_facts(path) for path in (one, other)]
    if facts[0] != facts[1] or not one.is_file():
        return facts[0] == facts[1]
    with one.open("rb") as left, other.open("rb") as right:
        while chunk := left.read(MAX_COMPARED_BYTES):
            if chunk != right.read(MAX_COMPARED_BYTES):
                return False
    return True


def _facts(path: Path) -> Any:
    """A value to compare without reading: the size of a file, or the target of a link to no file."""
    if path.is_file():
        return path.stat().st_size
    return os.readlink(path) if path.is_symlink() else "special"


def _file_diff(path: str, old: Side | None, new: Side | None, documents: Documents | None) -> FileDiff:
    before, after = (None if side is None else content(side, path, documents) for side in (old, new))
    if old is None or new is None:
        return FileDiff(path, "added" if old is None else "removed", before, after)
    if before is None or after is None or before.problems or after.problems:
        return FileDiff(path, "changed", before, after)
    return FileDiff(path, "changed", before, after, *edited(before, after))


def edited(old: Content, new: Content) -> tuple[tuple[ValueChange, ...], bool]:
    """The values that differ in a file, its package included; and whether only the order of its keys does."""
    edits: list[ValueChange] = []
    if old.document.package != new.document.package:
        places = Place(old.document.file, line=1), Place(new.document.file, line=1)
        edits.append(ValueChange(PACKAGE, old.document.package, new.document.package, *places, (PACKAGE,)))
    edits += value_changes(old.data, new.data, old.place, new.place)
    return tuple(edits), not edits and exact(old.data) != exact(new.data)


def content(side: Side, path: str, documents: Documents | None = None, *, leads_only: bool = False) -> Content | None:
    """A config file of one side; None where it is not a config, not there, or too large.

    Args:
        side: The side.
        path: The file, below the config folder.
        documents: Files that were parsed; this one is added.
        leads_only: Whether the values of a file without a defaults list are left out.
    """
    place = side.folder / path
    shown = (PurePosixPath(side.shown_as) / path).as_posix()
    if not path.endswith(".yaml") or not place.is_file() or place.stat().st_size > MAX_COMPARED_BYTES:
        return None
    if not is_inside(place, side.folder):
        return Content(Document(shown, ""), {}, outside(path.removesuffix(".yaml")).problems)
    try:
        document = (documents or Documents()).of(shown, place.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is not UTF-8"
        problem = Problem("MF002", "", f"the file {why}", place=Place(file=shown, line=1))
        return Content(Document(shown, ""), {}, (problem,))
    try:
        if leads_only:
            document.check()
            if not document.keys & LEADING:
                return Content(document, {})
        return Content(document, plain(document.load()))
    except ForgeError as error:
        return Content(document, {}, error.problems)


def named(content: Content, path: str, known: frozenset[str]) -> Iterator[str]:
    """The files that a file's defaults list may lead to; all of a group where an interpolation chooses."""
    group = path.rpartition("/")[0]
    if content.problems:
        yield from known
        return
    defaults = content.data.get("defaults")
    for item in defaults if isinstance(defaults, list) else ():
        pairs = item.items() if isinstance(item, dict) else [("", item)]
        for key, chosen in pairs:
            name = key.split()[-1].partition("@")[0] if key.strip() else ""
            for option in chosen if isinstance(chosen, list) else [chosen]:
                text = str(option).partition("@")[0]
                # A name without a slash in front is relative to the group of the file, in some positions at least.
                for base in {"", group}:
                    yield from _options("/".join(filter(None, (base, name.strip("/"), text.strip("/")))), known)


def _options(config: str, known: frozenset[str]) -> Iterator[str]:
    parts = config.removesuffix(".yaml")
    if "${" in parts or "???" in parts:
        around = re.split(r"\$\{|\?\?\?", parts)[0].rpartition("/")[0]
        yield from (path for path in known if not around or path.startswith(f"{around}/"))
    elif f"{parts}.yaml" in known:
        yield f"{parts}.yaml"
