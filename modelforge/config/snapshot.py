"""snapshot: a stranger's config folder → a copy of its config files, which is all that is read from then on.

No link is followed, nothing but regular files is opened, and what can be wrong with a folder is found on the way.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.limits import MAX_CHARACTERS, MAX_SCANNED_BYTES, MAX_SCANNED_DEPTH, MAX_SCANNED_FILES
from modelforge.core.quoting import printable, shortened
from modelforge.core.regular_files import TooLarge, kind_of, read_bytes

ENDINGS = (".yaml", ".yml")
MAX_FILE_NAME = 200
"""Bytes of the name of a file or folder."""
_PLUGINS = ("hydra_plugins", "hydra_plugins.py")


def snapshot(folder: Path, target: Path, shown_as: str) -> None:
    """Copies the config files of a folder to `target`, which is created; hidden files and folders are left out.

    Args:
        folder: The config folder.
        target: Where the copy goes.
        shown_as: What the folder is called in problems.

    Raises:
        ForgeError: all that is wrong with the folder: links and devices, names that look alike or hide something,
            too many files, too large ones, and packages that Hydra would import.
    """
    if folder.is_symlink():
        hint = "name the folder that it leads to"
        raise ForgeError([Problem("MF008", "", f"`{shown_as}` is a link, and leads to another folder", hint)])
    copy = _Copy(target, shown_as)
    copy.problems += [_plugins(f"{shown_as}/../{name}") for name in _PLUGINS if os.path.lexists(folder.parent / name)]
    copy.take(folder, "", 0)
    if copy.problems:
        raise ForgeError(copy.problems)


@dataclass
class _Copy:
    """A copy in the making."""

    target: Path
    shown_as: str
    num_entries: int = 0
    num_bytes: int = 0
    problems: list[Problem] = field(default_factory=list[Problem])

    def take(self, folder: Path, below: str, depth: int) -> None:
        """Copies a folder; `below` is its path in the config folder."""
        shown = f"{self.shown_as}/{below}".rstrip("/")
        if depth > MAX_SCANNED_DEPTH:
            self._add("MF060", shown, f"folders lie more than {MAX_SCANNED_DEPTH} deep inside one another")
            return
        (self.target / below).mkdir(parents=True)
        entries = list(self._entries(folder, shown))
        self.problems += _look_alikes([entry.name for entry in entries], shown)
        for entry in entries:
            self._take_entry(entry, f"{below}/{entry.name}".lstrip("/"), depth)

    def _entries(self, folder: Path, shown: str) -> Iterator[os.DirEntry[str]]:
        """What lies in a folder, by name, as long as there is not too much."""
        try:
            with os.scandir(folder) as found:
                entries = [entry for entry, _ in zip(found, range(MAX_SCANNED_FILES + 1), strict=False)]
        except OSError as error:
            self._add("MF008", shown, f"`{shown}` cannot be read: {error.strerror}")
            return
        for entry in sorted(entries, key=lambda entry: entry.name):
            self.num_entries += 1
            if self.num_entries > MAX_SCANNED_FILES:
                message = f"`{self.shown_as}` holds more than {MAX_SCANNED_FILES:,} files and folders"
                raise ForgeError([*self.problems, Problem("MF060", self.shown_as, message)])
            if not entry.name.startswith("."):
                yield entry

    def _take_entry(self, entry: os.DirEntry[str], path: str, depth: int) -> None:
        shown = f"{self.shown_as}/{path}"
        if problem := _wrong_name(entry.name, shown):
            self.problems.append(problem)
            return
        mode = entry.stat(follow_symlinks=False).st_mode
        if entry.name in _PLUGINS:
            self.problems.append(_plugins(shown))
        elif stat.S_ISLNK(mode):
            hint = "put the file itself there: links are not followed"
            self._add("MF008", shown, f"`{shown}` is a link", hint)
        elif stat.S_ISDIR(mode):
            self.take(Path(entry.path), path, depth + 1)
        elif kind := kind_of(mode):
            self._add("MF008", shown, f"`{shown}` is {kind}", "a config folder holds files and folders")
        elif entry.name.lower().endswith(ENDINGS):
            self._copy(Path(entry.path), path, shown)

    def _copy(self, file: Path, path: str, shown: str) -> None:
        try:
            content = read_bytes(file, 4 * MAX_CHARACTERS, links=False)
        except TooLarge:
            self._add(
                "MF060", shown, f"a config file has at most {MAX_CHARACTERS:,} characters, and `{shown}` has more"
            )
            return
        except OSError as error:
            self._add("MF008", shown, f"`{shown}` cannot be read: {error.strerror}")
            return
        self.num_bytes += len(content)
        if self.num_bytes > MAX_SCANNED_BYTES:
            message = f"the config files of `{self.shown_as}` hold more than {MAX_SCANNED_BYTES >> 20} MiB"
            raise ForgeError([*self.problems, Problem("MF060", self.shown_as, message)])
        (self.target / path).write_bytes(content)

    def _add(self, code: str, shown: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, "", message, hint, Place(file=shown, line=1)))


def _wrong_name(name: str, shown: str) -> Problem | None:
    place = Place(file=shown, line=1)
    if len(os.fsencode(name)) > MAX_FILE_NAME:
        message = f"the name `{shortened(name, 40)}` has more than {MAX_FILE_NAME} bytes"
        return Problem("MF060", "", message, "", place)
    if (seen := printable(name)) != name or "\\" in name:
        message = f"the name `{seen}` holds characters that are invisible, or lead elsewhere on another system"
        return Problem("MF007", "", message, "rename it", place)
    return None


def _look_alikes(names: list[str], shown: str) -> Iterator[Problem]:
    """Names that are one name on a file system that ignores case, or how accents are written."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other != name:
            message = f"`{other}` and `{name}` are one file on systems that ignore case or how an accent is written"
            yield Problem("MF008", "", message, "rename one of them", Place(file=f"{shown}/{name}", line=1))


def _plugins(shown: str) -> Problem:
    message = f"`{shown}` is a package that Hydra imports"
    return Problem("MF008", "", message, "move it elsewhere: a config is data", Place(file=shown, line=1))
