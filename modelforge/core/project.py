"""find_project: a folder → `Project`, what the nearest `pyproject.toml` says for modelforge.

The file is looked for in the working folder and above it, never beside a config folder that is only named: a config can
come from anybody, while the folder that a person works in holds code of their own.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.limits import MAX_CONFIG_BYTES
from modelforge.core.quoting import quoted, sentence
from modelforge.core.regular_files import read_text
from modelforge.core.suggestions import did_you_mean

FILE = "pyproject.toml"
KEY = "tool.modelforge"
FORM = '`plugins = ["my_project"]` under `[tool.modelforge]`'
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True)
class Project:
    """A folder whose `pyproject.toml` has a table for modelforge."""

    file: Path
    lines: tuple[str, ...]
    """Of the file."""
    plugins: tuple[str, ...]
    """Modules to import, in their order."""

    @property
    def folder(self) -> Path:
        return self.file.parent

    def place(self, word: str) -> Place | None:
        """Where the file has a word."""
        return _place(self.file, self.lines, word)


def find_project(folder: str | Path | None = None) -> Project | None:
    """The nearest `pyproject.toml` with a table for modelforge, in a folder or above it.

    Raises:
        ForgeError: it is not TOML, or the table is wrong.
    """
    for file in _candidates(Path(folder or os.curdir).resolve()):
        try:
            text = read_text(file, MAX_CONFIG_BYTES)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ForgeError([_wrong(f"`{shown(file)}` cannot be read: {sentence(error)}", "")]) from error
        if project := parse_project(file, text):
            return project
    return None


def _candidates(start: Path) -> Iterator[Path]:
    """The file in each folder upwards, as far as folder and file belong to the owner of the first: the folder above can
    be one where everybody may write.
    """
    owner = _owner(start)
    for folder in (start, *start.parents):
        if _owner(folder) != owner:
            return
        if _owner(folder / FILE) == owner:
            yield folder / FILE


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def parse_project(file: Path, text: str) -> Project | None:
    """What a `pyproject.toml` says for modelforge; None where it has no table for it.

    Args:
        file: What it is called in problems.
        text: What it holds.

    Raises:
        ForgeError: it is not TOML, or the table is wrong.
    """
    if "modelforge" not in text:
        return None
    lines = tuple(text.splitlines())
    try:
        table: Any = tomllib.loads(text).get("tool")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = sentence(error)
        found = _TOML_PLACE.search(reason)
        line, column = (int(found[1]), int(found[2])) if found else (0, 0)
        place = Place(shown(file), line, column, 1, lines[line - 1]) if 0 < line <= len(lines) else None
        message = f"`{shown(file)}` is not valid TOML: {_TOML_PLACE.sub('', reason)}"
        raise ForgeError([_wrong(message, "", place)]) from None
    section = table.get("modelforge") if isinstance(table, Mapping) else None
    if section is None:
        return None
    if problems := list(_faults(section, file, lines)):
        raise ForgeError(problems)
    return Project(file, lines, tuple(section.get("plugins", ())))


def _faults(section: Any, file: Path, lines: tuple[str, ...]) -> Iterator[Problem]:
    """The problems of the table for modelforge."""
    if not isinstance(section, Mapping):
        yield _wrong(f"`{KEY}` must be a table, but is {quoted(section)}", FORM, _place(file, lines, "modelforge"))
        return
    for key in section.keys() - {"plugins"}:
        yield _wrong(f"`[{KEY}]` has no key `{key}`", did_you_mean(key, ["plugins"]), _place(file, lines, key))
    names = section.get("plugins", [])
    where = _place(file, lines, "plugins")
    if not isinstance(names, list):
        yield _wrong(f"`plugins` must be a list of names, but is {quoted(names)}", f"write {FORM}", where)
        return
    for name in names:
        if not isinstance(name, str) or not _MODULE.fullmatch(name):
            message = f"a plugin must be the name of a module, but is {quoted(name)}"
            yield _wrong(message, _name_meant(name), (_place(file, lines, str(name)) or where))


def _name_meant(name: object) -> str:
    """The module that a path, or a name with a dash, may stand for."""
    meant = str(name).strip("./ ").removesuffix(".py").replace("/", ".").replace("-", "_")
    return f'write `"{meant}"`' if isinstance(name, str) and _MODULE.fullmatch(meant) else f"write {FORM}"


def _wrong(message: str, hint: str, place: Place | None = None) -> Problem:
    return Problem("MF083", "", message, hint, place)


def _place(file: Path, lines: tuple[str, ...], word: str) -> Place | None:
    """The first line with a word, behind the first one that names modelforge."""
    behind = next((number for number, line in enumerate(lines) if "modelforge" in line), 0)
    whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    for number, line in enumerate(lines[behind:], behind + 1):
        if word and not line.lstrip().startswith("#") and (found := whole.search(line)):
            return Place(shown(file), number, found.start() + 1, len(word), line)
    return None


def shown(path: Path) -> str:
    """A path relative to the working folder where it lies inside."""
    with suppress(OSError, ValueError):
        return str(path.absolute().relative_to(Path.cwd()))
    return str(path)
