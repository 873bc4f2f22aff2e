"""open_side: a config folder, an override set or a git revision, as a person names it → a folder and overrides."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from modelforge.config.folder import default_conf
from modelforge.core.errors import ForgeError, Problem
from modelforge.review.revision import LeftOut, extracted, is_revision, merge_base, root_of, unknown

_RANGE = re.compile(r"(?P<old>[^.=/~+][^=]*?|)(?P<dots>\.\.\.?)(?P<new>[^./=][^=]*|)")
_WAYS = 'a folder: `conf`; overrides in one word: `"model=lstm init.gain=2"`; a revision: `HEAD~1`'


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a diff: the folder to compose, with what overrides, and what to call both."""

    name: str
    """As it was typed."""
    kind: Literal["folder", "overrides", "revision"]
    folder: Path
    shown_as: str
    """What the folder is called in places."""
    overrides: tuple[str, ...] = ()
    note: str = ""
    """How the name was read, where it could mean something else."""
    left_out: tuple[LeftOut, ...] = ()
    """Links and submodules of a revision that are not in the folder."""


def parse_range(name: str, conf: Path | None = None) -> tuple[str, str] | None:
    """Both ends of a range: of `A...B` the common commit of A and B, and B; of `A..B` A and B. None for no range.

    Raises:
        ForgeError: the two have no common commit.
    """
    if name == ".." or _is_folder(Path(name)):
        return None
    found = _RANGE.fullmatch(name)
    old, dots, new = (found["old"], found["dots"], found["new"]) if found else _odd_range(name, find_conf(conf))
    if not (old or new):
        return None
    old, new = old or "HEAD", new or "HEAD"
    return (merge_base(old, new, find_conf(conf)) if dots == "..." else old), new


def _odd_range(name: str, folder: Path) -> tuple[str, str, str]:
    """The parts of a range of revisions that could be overrides by their names; empty where git knows no such two."""
    for dots in ("...", ".."):
        old, _, new = name.partition(dots)
        if "=" in name and old and new and is_revision(old, folder) and is_revision(new, folder):
            return old, dots, new
    return "", "", ""


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False  # too long for the name of a file, or with a character that no name has


@contextmanager
def open_side(name: str, conf: Path | None) -> Generator[Side]:
    """What a name means; the configs of a revision are there until the context ends.

    Raises:
        ForgeError: the name means nothing.
    """
    folder, wanted = Path(name), find_conf(conf)
    if name == ".":
        present = _present(wanted, conf)
        yield Side(name, "folder", present, _shown(present))
        return
    known = _is_folder(folder) and is_revision(name, wanted)
    if _is_folder(folder) and not (known and not _config_folder(folder)):
        found = _config_folder(folder) or folder
        note = f"`{name}` is read as the folder; to name the revision: `refs/heads/{name}`" if known else ""
        yield Side(name, "folder", found, _shown(found), note=note)
        return
    looks_typed = "=" in name or name.startswith(("~", "+"))
    if looks_typed and not is_revision(name, wanted):
        present = _present(wanted, conf)
        yield Side(name, "overrides", present, _shown(present), split_words(name))
        return
    note = f'`{name}` is read as the revision; to name the override, put a blank before it: `" {name}"`'
    revision, wanted = _revision(name, wanted)
    with extracted(revision, wanted) as copy:
        plain = not looks_typed or name.startswith("refs/")
        yield Side(name, "revision", copy.folder, _shown(wanted), note="" if plain else note, left_out=copy.left_out)


def find_conf(conf: Path | None) -> Path:
    """The config folder: the one that is given, `conf` here, or that of a folder above in the repository.

    Where there is none it is `conf` all the same: a revision may have had it.
    """
    if conf is not None:
        return conf
    root = root_of(Path())
    here = Path().resolve()
    for above in (here, *here.parents) if root else (here,):
        if (above / "conf" / "config.yaml").is_file():
            return Path(os.path.relpath(above / "conf"))
        if above == root:
            break
    return Path("conf")


def _present(found: Path, conf: Path | None) -> Path:
    return default_conf() if conf is None and not found.is_dir() else found


def _config_folder(folder: Path) -> Path | None:
    return next((place for place in (folder, folder / "conf") if (place / "config.yaml").is_file()), None)


def _shown(folder: Path) -> str:
    """A folder relative to the working directory where it lies below, as `compose` shows files."""
    place, here = Path(os.path.abspath(folder)), Path.cwd()
    return (place.relative_to(here) if place.is_relative_to(here) else folder).as_posix()


def _revision(name: str, wanted: Path) -> tuple[str, Path]:
    """A revision and the folder to read there."""
    if is_revision(name, wanted):
        return name, wanted
    revision, _, below = name.partition(":")
    if below and is_revision(revision, wanted) and (root := root_of(wanted)):
        return revision, Path(os.path.relpath(Path(below) if below.startswith(".") else root / below))
    if Path(name).is_file():
        message = f"`{name}` is a file; a side is a folder, an override set or a git revision"
        raise ForgeError([Problem("MF070", name, message, _WAYS)])
    problem = unknown(
        revision if below else name, wanted, "is neither a folder, nor a set of overrides, nor a git revision"
    )
    hint = "; ".join(filter(None, (problem.hint, _WAYS)))
    raise ForgeError([Problem("MF070", name, problem.message, hint)])


def split_words(text: str) -> tuple[str, ...]:
    """Overrides that are written as one text.

    Raises:
        ForgeError: a quotation mark is not closed.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise ForgeError([Problem("MF070", text, f"a quotation mark is not closed in `{text}`")]) from None
