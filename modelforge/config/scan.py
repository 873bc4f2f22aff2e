"""scanned: the config files of a stranger → what is wrong with them, before anything is composed.

Stricter than what reads a config of one's own (`Document`, `trust`): all files are looked at, read or not; events of
the YAML parser are counted before a node is made; and nothing is let through that a reader cannot see.
"""

from __future__ import annotations

import os
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from modelforge.config.document import Document, Documents
from modelforge.config.hydra_settings import check_hydra
from modelforge.config.nodes import loader_class, scalars
from modelforge.config.references import split
from modelforge.config.snapshot import ENDINGS
from modelforge.config.trust import PLAIN, check_resolvers, check_search_path
from modelforge.core.errors import Place, Problem, for_each, problems_of
from modelforge.core.limits import (
    MAX_CHARACTERS,
    MAX_FILE_DEPTH,
    MAX_FORMULAS,
    MAX_KEY,
    MAX_NODES,
    MAX_SCANNED_NODES,
)
from modelforge.core.quoting import printable

RESERVED = frozenset({"_target_", "_partial_", "_recursive_", "_convert_", "_args_"})
"""Keys by which Hydra calls code, wherever they stand."""

_UNSEEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufff9-\ufffb]|\r(?!\n)"
)
"""Controls, marks of direction, and line breaks that only YAML takes for some; not in comments either."""
_WITHOUT_WIDTH = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2064\u2800\u3164\ufeff\uffa0]|[\U000e0000-\U000e0fff]"
)
"""What shows nothing: in comments alone it is harmless."""


Fine = dict[tuple[bytes, str, str], tuple[int, int]]
"""Files without a problem, by what they hold and where they lie → their nodes and their interpolations."""


def scanned(
    folder: Path, shown_as: str, fine: Fine | None = None, documents: Documents | None = None
) -> tuple[Problem, ...]:
    """What is wrong with the config files below a folder, which holds files and folders only (see `snapshot`).

    Args:
        folder: The config folder.
        shown_as: What it is called in places.
        fine: Files of other folders that are not scanned again, where they are equal; those of this one are added.
        documents: Files that were parsed; those of this folder are added.
    """
    scan = Scan(fine={} if fine is None else fine, documents=documents or Documents())
    problems: list[Problem] = []
    for path in sorted(path for path in folder.rglob("*") if path.name.lower().endswith(ENDINGS) and path.is_file()):
        below = path.relative_to(folder).as_posix()
        problems += scan.file(path.read_bytes(), below, f"{shown_as}/{below}")
        if scan.num_nodes > MAX_SCANNED_NODES or scan.num_formulas > MAX_FORMULAS:
            break
    return tuple(problems)


@dataclass
class Scan:
    """A scan under way: what all files together hold."""

    num_nodes: int = 0
    num_formulas: int = 0
    fine: Fine = field(default_factory=Fine)
    documents: Documents = field(default_factory=Documents)

    def file(self, content: bytes, below: str, file: str) -> list[Problem]:
        """What is wrong with one file: as much as can be told before the first thing that hides the rest.

        Args:
            content: Its bytes.
            below: Its path below the config folder.
            file: What it is called in places.
        """
        before = self.num_nodes, self.num_formulas
        added = self.fine.get((content, below, file))
        if added is not None and self._has_room(*added):
            self.num_nodes += added[0]
            self.num_formulas += added[1]
            return []
        if not (problems := self._problems(content, below, file)):
            self.fine[content, below, file] = self.num_nodes - before[0], self.num_formulas - before[1]
        return problems

    def _has_room(self, num_nodes: int, num_formulas: int) -> bool:
        nodes, formulas = self.num_nodes + num_nodes, self.num_formulas + num_formulas
        return nodes <= MAX_SCANNED_NODES and formulas <= MAX_FORMULAS

    def _problems(self, content: bytes, below: str, file: str) -> list[Problem]:
        text = _decoded(content)
        if text is None or content.startswith(BOM_UTF8):
            message = "the file is not UTF-8" if text is None else "the file begins with a byte order mark"
            return [Problem("MF002", "", message, "save it as UTF-8, without a mark", Place(file=file, line=1))]
        document = self.documents.of(file, text)
        if len(text) > MAX_CHARACTERS:
            return problems_of(document.check)
        problems = [*_unseen(document)]
        problems += _counted(document, self)
        if problems:
            return problems
        problems = [*problems_of(document.check)]
        if problems or document.root is None:
            return problems
        return [*_texts(document), *self._resolvers(document), *_settings(document, below)]

    def _resolvers(self, document: Document) -> list[Problem]:
        for text in document.interpolations:
            self.num_formulas += PLAIN.sub("", text).count("${")
        if self.num_formulas > MAX_FORMULAS:
            message = f"the config files hold more than {MAX_FORMULAS:,} interpolations that are more than a key"
            return [Problem("MF060", "", message, place=Place(file=document.file, line=1))]
        return problems_of(lambda: check_resolvers(document))


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unseen(document: Document) -> Iterator[Problem]:
    """Characters that no reader sees, or that show a line other than it is."""
    text = document.text
    if text.isascii() and text.isprintable():
        return
    yield from for_each(_UNSEEN.finditer(text), lambda found: _hidden(document, found.start(), found[0]))


def _hidden(document: Document, index: int, character: str) -> Problem:
    before = document.text[:index]
    start = before.rfind("\n") + 1
    stop = document.text.find("\n", index)
    source = document.text[start : stop if stop >= 0 else None]
    place = Place(document.file, before.count("\n") + 1, index - start + 1, 1, source)
    return Problem("MF007", "", f"an invisible character, U+{ord(character):04X}", "leave it out", place)


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass
class _Open:
    """A mapping or list that has begun: how many nodes it holds so far, and how deep they lie."""

    anchor: str | None
    size: int = 1
    depth: int = 0


@dataclass
class _Count:
    """Nodes as they are once aliases are carried out."""

    document: Document
    most: int
    opened: list[_Open] = field(default_factory=list[_Open])
    anchors: dict[str, _Open | None] = field(default_factory=dict[str, "_Open | None"])
    num_nodes: int = 0
    num_documents: int = 0

    def event(self, event: yaml.Event) -> Problem | None:
        """Takes in one event; what is wrong with it ends the scan of the file."""
        if isinstance(event, yaml.DocumentStartEvent):
            return self._begin(event)
        if isinstance(event, yaml.CollectionStartEvent):
            self.opened.append(_Open(event.anchor))
            if event.anchor:
                self.anchors[event.anchor] = None
            return self._bounded(event, 1, 0)
        if isinstance(event, yaml.CollectionEndEvent):
            done = self.opened.pop()
            if done.anchor:
                self.anchors[done.anchor] = done
            self._hand_up(done)
            return None
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if isinstance(event, yaml.ScalarEvent):
            if event.anchor:
                self.anchors[event.anchor] = _Open(event.anchor)
            self._hand_up(_Open(None))
            return self._bounded(event, 1, 0)
        return None

    def _begin(self, event: yaml.DocumentStartEvent) -> Problem | None:
        self.num_documents += 1
        if self.num_documents > 1:
            return self._problem("MF002", event, "a second document begins here", "put it into a file of its own")
        if event.version or event.tags:
            return self._problem("MF002", event, "a YAML directive, `%...`, means nothing in a config", "leave it out")
        return None

    def _alias(self, event: yaml.AliasEvent) -> Problem | None:
        target = self.anchors.get(event.anchor, _UNKNOWN)
        if target is None:
            return self._problem("MF002", event, "an alias that contains itself", "write out what is meant")
        self._hand_up(target)
        return self._bounded(event, target.size, target.depth)

    def _hand_up(self, done: _Open) -> None:
        if self.opened:
            self.opened[-1].size += done.size
            self.opened[-1].depth = max(self.opened[-1].depth, done.depth + 1)

    def _bounded(self, event: yaml.Event, size: int, depth: int) -> Problem | None:
        self.num_nodes += size
        if self.num_nodes > self.most:
            message = f"the config files hold more than {self.most:,} keys and values, those of aliases included"
            return self._problem("MF060", event, message)
        if len(self.opened) + depth > MAX_FILE_DEPTH:
            return self._problem("MF060", event, f"the file is nested more than {MAX_FILE_DEPTH} levels deep")
        return None

    def _problem(self, code: str, event: yaml.Event, message: str, hint: str = "") -> Problem:
        return Problem(code, "", message, hint, self.document.place_of(event.start_mark, event.end_mark))


_UNKNOWN = _Open(None)


def _counted(document: Document, scan: Scan) -> list[Problem]:
    """Counts the nodes of a file while its events come in, and stops at the first that is too much."""
    count = _Count(document, min(MAX_NODES, MAX_SCANNED_NODES - scan.num_nodes))
    loader = loader_class()(document.text)
    try:
        while loader.check_event():
            if problem := count.event(loader.get_event()):
                return [problem]
    except yaml.YAMLError:
        return []  # which reading the file says better
    finally:
        loader.dispose()
        scan.num_nodes += count.num_nodes
    return []


# --- nodes ------------------------------------------------------------------------------------------------------------


def _texts(document: Document) -> Iterator[Problem]:
    """Keys and values that hide something, once their escapes are carried out; keys that call code."""
    assert document.root is not None
    for node, is_key in scalars(document.root):
        place = document.place(node)
        if is_key and node.value in RESERVED:
            message = f"`{node.value}` names code to call, and a config is data"
            yield Problem("MF006", "", message, "write `type`, with a name of `modelforge list`", place, "key")
        elif is_key and len(node.value) > MAX_KEY:
            yield Problem("MF060", "", f"a key has at most {MAX_KEY} characters", "", place, "key")
        elif is_key and printable(node.value) != node.value:
            yield Problem(
                "MF007",
                "",
                "a key holds invisible characters",
                "write it with visible characters only",
                place,
                "key",
            )
        elif _WITHOUT_WIDTH.search(node.value) or _UNSEEN.search(node.value):
            seen = printable(node.value)
            yield Problem("MF007", "", f"`{seen}` holds invisible characters", "leave them out", place)


def _settings(document: Document, below: str) -> Iterator[Problem]:
    """What the file sets of Hydra's own, at the package that its header or its folder gives it."""
    group = os.path.dirname(below).replace("/", ".")
    package = (document.package or group).replace("_global_", "").replace("_group_", group).strip(".")
    # A defaults list may merge any file at the top, where its key `hydra` is Hydra's own.
    yield from check_hydra(package if split(package)[:1] == ("hydra",) else "", document)
    yield from check_search_path(document)
