"""One YAML file: from its text to plain data that is safe to merge, and to the position of each of its nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from modelforge.config.nodes import (
    BOOL,
    FLOAT,
    INT,
    NULL,
    STRING,
    TooDeep,
    children,
    compose,
    has_merges,
    is_too_interpolated,
    items,
    loader_class,
    nodes,
    not_merged,
    num_nodes,
    values,
)
from modelforge.config.syntax import syntax_problem
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.limits import (
    MAX_ALIASED,
    MAX_CHARACTERS,
    MAX_DIGITS,
    MAX_FILE_BYTES,
    MAX_FILE_DEPTH,
    MAX_INTERPOLATED,
    fault,
)

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_PACKAGE = re.compile(r"\s*#\s*@package\s*:?\s*(\S*)")
_HEADER = re.compile(r"\s*#\s*@")
_KINDS = {
    BOOL: "true or false",
    INT: "a whole number",
    FLOAT: "a number",
    NULL: "null",
    STRING: "a string",
    "tag:yaml.org,2002:seq": "a list",
    "tag:yaml.org,2002:map": "a mapping",
}
"""The tags of what a config is made of; a text gets one by how it looks."""
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F]+)")
"""Whole numbers that every reader takes for the same."""
_OCTAL = re.compile(r"[-+]?0o[0-7_]+")


@dataclass(frozen=True)
class Document:
    """A config file as it was read: `file` is the name it is shown under."""

    file: str
    text: str

    @classmethod
    def read(cls, path: Path, file: str, known: Documents | None = None) -> Document:
        """A file of the disk.

        Args:
            path: Where it lies.
            file: The name it is shown under.
            known: Files that were read before; this one is added.

        Raises:
            ForgeError: it is too large, or not UTF-8.
            OSError: it cannot be read.
        """
        place = Place(file=file, line=1)
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                message = f"the file has more than {MAX_FILE_BYTES >> 20} MiB"
                raise ForgeError([Problem("MF060", "", message, place=place)])
            text = path.read_text(encoding="utf-8")
            return cls(file, text) if known is None else known.of(file, text)
        except UnicodeDecodeError:
            raise ForgeError([Problem("MF002", "", "the file is not UTF-8", place=place)]) from None

    def load(self) -> DictConfig:
        """The file as OmegaConf reads it (`1e-3` is a float), but for its keys, which stay the text they are.

        Raises:
            ForgeError: for wrong syntax, duplicate keys, aliases that explode, anything but a mapping, and
                interpolations that cannot be parsed.
        """
        self.check()
        # What constructs values carries out merge keys in the nodes themselves.
        root = self._parse() if self.root is not None and has_merges(self.root) else self.root
        if root is None:
            return OmegaConf.create()
        loader = loader_class()("")
        try:
            data = loader.construct_document(root)
        except yaml.MarkedYAMLError as error:
            raise ForgeError([syntax_problem(error, self.file, self._lines)]) from None
        finally:
            loader.dispose()
        try:
            config = OmegaConf.create(data)
        except OmegaConfBaseException as error:
            raise self._interpolation_error(root, error) from None
        assert isinstance(config, DictConfig)
        return config

    def check(self) -> None:
        """Checks all that can be told without a value being made of the nodes.

        Raises:
            ForgeError: for what `load` raises, but for interpolations that cannot be parsed.
        """
        if self._problems:
            raise ForgeError(self._problems)

    @cached_property
    def _problems(self) -> tuple[Problem, ...]:
        try:
            self._check()
        except ForgeError as error:
            return error.problems
        return ()

    def _check(self) -> None:
        self._check_head()
        root = self.root
        if root is None:
            return
        if not isinstance(root, yaml.MappingNode):
            raise self._error("MF002", "a config file holds a mapping, `key: value`", self.place(root))
        self._check_aliases(root)
        self._check_keys(root)
        self._check_values(root)

    @cached_property
    def root(self) -> yaml.Node | None:
        """The root node with every node's position, keys as the text they are; None for an empty file."""
        return self._parse()

    def _parse(self) -> yaml.Node | None:
        if len(self.text) > MAX_CHARACTERS:
            message = f"a config file has at most {MAX_CHARACTERS:,} characters, and this has {len(self.text):,}"
            raise self._error("MF060", message, Place(file=self.file, line=1))
        try:
            root = compose(self.text)
        except yaml.MarkedYAMLError as error:
            raise ForgeError([syntax_problem(error, self.file, self._lines)]) from None
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            place = Place(file=self.file, line=line, column=1, source=self._line(line - 1))
            raise self._error("MF002", "a character that YAML does not allow", place) from None
        except TooDeep as error:
            message = f"the file is nested more than {MAX_FILE_DEPTH} levels deep"
            raise self._error("MF060", message, Place(file=self.file, line=error.line)) from None
        return root

    @cached_property
    def package(self) -> str:
        """The package that the header names (`# @package _global_`); empty without one."""
        found = [match for _, line in self._head if (match := _PACKAGE.match(line))]
        return found[0][1] if found and _HEADER.match(self._head[0][1]) else ""

    @cached_property
    def _head(self) -> list[tuple[int, str]]:
        """The comments in front of everything else, with the number of their lines."""
        lines = [(number, line) for number, line in enumerate(self._lines, 1) if line.strip()]
        return [*takewhile(lambda item: item[1].lstrip().startswith("#"), lines)]

    def _check_head(self) -> None:
        """Refuses a `# @package` below another comment: Hydra reads headers up to the first line that is none."""
        headers = [*takewhile(lambda item: _HEADER.match(item[1]), self._head)]
        for number, line in self._head[len(headers) :]:
            if _PACKAGE.match(line):
                place = Place(self.file, number, 1, len(line.rstrip()), line)
                message = "`# @package` below another comment has no effect"
                raise self._error("MF002", message, place, "make it the first line of the file")

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys at the top."""
        return frozenset(items(self.root)) if isinstance(self.root, yaml.MappingNode) else frozenset()

    @cached_property
    def interpolations(self) -> tuple[str, ...]:
        """The texts in the file that hold an interpolation."""
        every = nodes(self.root) if self.root is not None else ()
        return tuple(node.value for node in every if isinstance(node, yaml.ScalarNode) and "${" in node.value)

    @cached_property
    def num_nodes(self) -> int:
        """How many keys, values, mappings and lists the file makes; what aliases repeat counts each time."""
        return num_nodes(self.root)

    def place(self, node: yaml.Node) -> Place:
        """Where a node stands; of one over several lines, its first."""
        return self.place_of(node.start_mark, node.end_mark)

    def place_of(self, start: yaml.Mark, end: yaml.Mark) -> Place:
        """The place between two positions; of several lines, the first."""
        source = self._line(start.line)
        stop = end.column if end.line == start.line else len(source.rstrip())
        length = max(stop - start.column, 1)
        return Place(file=self.file, line=start.line + 1, column=start.column + 1, length=length, source=source)

    @cached_property
    def _lines(self) -> list[str]:
        return _LINE_BREAK.split(self.text)

    def _line(self, index: int) -> str:
        return self._lines[index] if index < len(self._lines) else ""

    def _check_aliases(self, root: yaml.Node) -> None:
        sizes: dict[int, int] = {}
        open_nodes: set[int] = set()

        def expanded(node: yaml.Node) -> int:
            if id(node) in open_nodes:
                raise self._error("MF002", "an alias that contains itself", self.place(node))
            if id(node) not in sizes:
                open_nodes.add(id(node))
                sizes[id(node)] = 1 + sum(map(expanded, children(node)))
                open_nodes.discard(id(node))
            return sizes[id(node)]

        if expanded(root) - len(sizes) > MAX_ALIASED:
            message = f"the aliases of this file expand to more than {MAX_ALIASED:,} nodes"
            raise self._error("MF060", message, Place(file=self.file, line=1))

    def _check_keys(self, root: yaml.Node) -> None:
        problems: list[Problem] = []
        seen: set[int] = set()

        def check(node: yaml.Node) -> None:
            if id(node) in seen:
                return
            seen.add(id(node))
            if isinstance(node, yaml.MappingNode):
                first: dict[str, yaml.Node] = {}
                for key, value in node.value:
                    if wrong := not_merged(key, value):
                        message = f"expected a mapping or list of mappings for merging, but found {wrong.id}"
                        problems.append(Problem("MF002", "", message, place=self.place(wrong)))
                    if not isinstance(key, yaml.ScalarNode):
                        problems.append(Problem("MF002", "", "a key must be a name", place=self.place(key)))
                    elif found := fault(key.value):
                        problems.append(Problem(found[0], "", *found[1:], self.place(key), "key"))
                    elif key.value in first:
                        hint = f"the first is on line {first[key.value].start_mark.line + 1}"
                        message = f"the key `{key.value}` is written twice"
                        problems.append(Problem("MF002", "", message, hint, self.place(key), "key"))
                    else:
                        first[key.value] = key
            for child in children(node):
                check(child)

        check(root)
        if problems:
            raise ForgeError(problems)

    def _check_values(self, root: yaml.Node) -> None:
        """Refuses tags that a config has no use for, texts that are not what their tag says, and numbers that one
        reader takes for another than the next."""
        loader = loader_class()("")
        try:
            problems = [found for node in values(root) if (found := self._wrong_value(node, loader)) is not None]
        finally:
            loader.dispose()
        if problems:
            raise ForgeError(problems)

    def _wrong_value(self, node: yaml.Node, loader: Any) -> Problem | None:
        if node.tag not in _KINDS:
            message = f"the tag `{_short_tag(node.tag)}` means nothing in a config"
            return Problem("MF002", "", message, "leave it out, or quote the text", self.place(node))
        if not isinstance(node, yaml.ScalarNode):
            return None
        written = node.value
        if found := fault(written):
            return Problem(found[0], "", *found[1:], self.place(node))
        if "${" in written and is_too_interpolated(written):
            message = f"a text has at most {MAX_INTERPOLATED} interpolations, and as many brackets inside one another"
            return Problem("MF060", "", message, place=self.place(node))
        if node.tag == INT and len(written) > MAX_DIGITS:
            message = f"a whole number has at most {MAX_DIGITS} digits, and this has {len(written):,}"
            return Problem("MF062", "", message, place=self.place(node))
        try:
            value = loader.construct_object(node)
        except (ValueError, LookupError, AttributeError, TypeError, yaml.YAMLError):
            message = f"`{written}` is not {_KINDS[node.tag]}"
            hint = "leave the tag out, or quote the text"
            return Problem("MF002", "", message, hint, self.place(node))
        if (node.tag == INT and not _DECIMAL.fullmatch(written)) or (node.tag == FLOAT and ":" in written):
            fact = f"`{written}` means {value} in YAML 1.1"
        elif node.tag == STRING and not node.style and _OCTAL.fullmatch(written):
            value = int(written.replace("_", ""), 8)
            fact = f"`{written}` means {value} in YAML 1.2, and is a text in YAML 1.1"
        else:
            return None
        hint = f"write `{value}`, or another number that is meant, or a text: `'{written}'`"
        return Problem("MF002", "", fact, hint, self.place(node))

    def _interpolation_error(self, root: yaml.Node, error: OmegaConfBaseException) -> ForgeError:
        for node in nodes(root):
            if not isinstance(node, yaml.ScalarNode):
                continue
            try:
                OmegaConf.create({"value": node.value})
            except OmegaConfBaseException:
                hint = "write `${key.path}`; a literal `${` is written `\\${`"
                return self._error("MF003", f"`{node.value}` is not an interpolation", self.place(node), hint)
        return self._error("MF002", str(error).splitlines()[0], Place(file=self.file, line=1))

    def _error(self, code: str, message: str, place: Place, hint: str = "") -> ForgeError:
        return ForgeError([Problem(code, "", message, hint, place)])


class Documents:
    """Config files that were read: one that is read again, by another part of a command, is not parsed again."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Document] = {}

    def of(self, file: str, text: str) -> Document:
        """The document of a name and a text."""
        return self._known.setdefault((file, text), Document(file, text))


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
