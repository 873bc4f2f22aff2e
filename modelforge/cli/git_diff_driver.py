"""drive: what git passes to an external diff → the change of one config file in meaning.

Git calls it with a path, and for each side a file, a hash and a mode. The files of the working tree's config folder
are taken for both sides, but for the one that differs; where that does not compose, the values of the file are
compared. It ends with the status 0 whatever it finds: git takes any other for its own failure.
"""

from __future__ import annotations

import difflib
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.cli.revisions import Compared, compare_apart
from modelforge.core.confine import can_confine
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.limits import MAX_COMPARED_BYTES, MAX_REVISION_BYTES
from modelforge.core.quoting import printable
from modelforge.report.aligned import Aligned
from modelforge.review.changed_files import Content, content
from modelforge.review.document import Document
from modelforge.review.formats.text import STYLES, text
from modelforge.review.pair import Pair
from modelforge.review.sides import Side
from modelforge.review.values import value_changes

NOTHING = "/dev/null"
_HASH_LENGTH = 7


@dataclass(frozen=True)
class _End:
    """The file on one side."""

    path: str
    """In the repository."""
    file: Path | None
    """Where git has put it; None where the side has none."""
    hash: str

    @property
    def name(self) -> str:
        if self.file is None:
            return "nothing"
        known = self.hash.strip("0")
        return f"{self.hash[:_HASH_LENGTH]}:{self.path}" if known else self.path

    @property
    def bytes(self) -> bytes:
        """What it holds, as far as a config may be long."""
        if self.file is None or not self.file.is_file():
            return b""
        with self.file.open("rb") as file:
            return file.read(MAX_COMPARED_BYTES)


def drive(arguments: Sequence[str]) -> Answer:
    """Compares one file as git asks for it.

    Args:
        arguments: Path, old file, hash and mode, new file, hash and mode; of a renamed file also its new path and how
            alike they are; of an unmerged one the path alone.

    Raises:
        ForgeError: there is another number of arguments.
    """
    match list(arguments):
        case [path]:
            return Answer({"path": path}, Text(f"unmerged: {printable(path)}"))
        case [path, old, old_hash, _, new, new_hash, _]:
            ends = (_end(path, old, old_hash), _end(path, new, new_hash))
        case [path, old, old_hash, _, new, new_hash, _, new_path, _]:
            ends = (_end(path, old, old_hash), _end(new_path, new, new_hash))
        case _:
            message = f"git passes 1, 7 or 9 arguments to an external diff, but these are {len(arguments)}"
            hint = "set it up by `git config diff.modelforge.command 'modelforge git-diff-driver'`"
            raise ForgeError([Problem("MF070", "git-diff-driver", message, hint)])
    document = _reviewed(*ends)
    if document is not None:
        return Answer(document.model_dump(mode="json"), Group(text(document), Text()))
    head = Text(printable(" → ".join(end.name for end in ends)), "bold")
    return Answer({"path": ends[1].path}, Group(head, *_values(*ends), Text()))


def _end(path: str, file: str, hash: str) -> _End:
    return _End(path, None if file == NOTHING else Path(file), hash)


def _reviewed(old: _End, new: _End) -> Document | None:
    """The review of both folders; None where there is no such folder, the file comes from another one, or the default
    does not compose.

    A folder with links, pipes or devices is not copied: they may lead outside, or have no end.
    """
    folder = _config_folder(new.path)
    if folder is None or not new.path.endswith(".yaml") or not Path(old.path).is_relative_to(folder):
        return None
    if not _can_be_copied(folder):
        return None
    with tempfile.TemporaryDirectory(prefix="modelforge-") as place:
        sides: list[Side] = []
        for name, end in (("old", old), ("new", new)):
            copy = Path(place, name)
            shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".git", "__pycache__"))
            for known in (old.path, new.path):
                copy.joinpath(Path(known).relative_to(folder)).unlink(missing_ok=True)
            if end.file is not None:
                target = copy / Path(end.path).relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(end.bytes)
            sides.append(Side(end.name, "revision", copy, folder.as_posix()))
        pair = Pair(sides[0], sides[1])
        try:
            return _compared(pair).document
        except (ForgeError, OSError):
            return None


def _compared(pair: Pair) -> Compared:
    if can_confine():
        return compare_apart(pair)
    from modelforge.cli.comparing import compare_sides

    return compare_sides(pair)


def _config_folder(path: str) -> Path | None:
    """The config folder that a file lies in: the nearest above it with a `config.yaml`."""
    above = Path(path).parents
    return next((folder for folder in above if (folder / "config.yaml").is_file() and folder != Path()), None)


def _can_be_copied(folder: Path) -> bool:
    """Whether a folder holds files and folders alone, of no more bytes than a revision may."""
    facts = [path.lstat() for path in folder.rglob("*")]
    plain = all(stat.S_ISREG(fact.st_mode) or stat.S_ISDIR(fact.st_mode) for fact in facts)
    return plain and sum(fact.st_size for fact in facts) <= MAX_REVISION_BYTES


def _values(old: _End, new: _End) -> list[RenderableType]:
    """The values that differ in the file alone; its lines where it is not a config."""
    from modelforge.review.rows import value_rows

    with tempfile.TemporaryDirectory(prefix="modelforge-") as place:
        contents: list[Content | None] = []
        for name, end in (("old", old), ("new", new)):
            Path(place, f"{name}.yaml").write_bytes(end.bytes)
            contents.append(content(Side(end.name, "folder", Path(place), end.path), f"{name}.yaml"))
    before, after = contents
    if before is None or after is None or before.problems or after.problems:
        return list(_lines(old, new))
    rows = list(value_rows(value_changes(before.data, after.data, lambda key: None, lambda key: None)))
    if not rows and old.path != new.path:
        return [Text("the same values in another place; what reads them is not compared")]
    if not rows:
        return [Text("no semantic change: formatting, comments or the order of keys")]
    note = Text("the values of the file alone: the config folder around it cannot be compared", "dim")
    return [note, Aligned([[Text(row.mark, STYLES[row.mark]), Text(row.name), Text(row.words)] for row in rows], 2)]


def _lines(old: _End, new: _End) -> list[Text]:
    before, after = (end.bytes.decode("utf-8", "replace").splitlines() for end in (old, new))
    found = difflib.unified_diff(before, after, old.name, new.name, lineterm="")
    return [Text(printable(line)) for line in found]
