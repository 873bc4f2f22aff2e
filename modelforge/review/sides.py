"""read: a config folder, an override set or a git revision, as a person names it → `Plan`."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelforge.config import compose
from modelforge.errors import ForgeError, Problem
from modelforge.plan import Plan, plan
from modelforge.review.revision import extracted, is_revision
from modelforge.spec import parse


@dataclass(frozen=True, slots=True)
class Side:
    """What to compose: a folder (None for the default one), overrides, and what to call the folder in places."""

    folder: Path | None
    overrides: tuple[str, ...] = ()
    shown_as: str | None = None


def read(name: str, conf: Path | None = None, overrides: Sequence[str] = ()) -> Plan:
    """Plans one side of a diff.

    Args:
        name: `.` for the working tree; a folder (a config folder, or one that holds `conf/`); overrides in one string
            (`"model=lstm init.gain=2"`); or a git revision, whose configs are read without a checkout.
        conf: The config folder that overrides apply to, and that is looked up in a revision; None for the default one.
        overrides: Further overrides.

    Raises:
        ForgeError: the name means nothing, or what it means cannot be planned.
        TypeError: it is no name.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
        raise TypeError(f"read takes a folder, overrides or a revision as text, but gets a {type(name).__name__}")
    with _side(name, conf) as side:
        composed = compose(side.folder, (*side.overrides, *overrides), shown_as=side.shown_as)
        return plan(parse(composed))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False  # no name of a file: too long, or with a character that none has


@contextmanager
def _side(name: str, conf: Path | None) -> Generator[Side]:
    folder = Path(name)
    if name == ".":
        yield Side(conf)
    elif _is_folder(folder):
        below = folder / "conf"
        yield Side(below if not (folder / "config.yaml").is_file() and below.is_dir() else folder)
    elif "=" in name or name.startswith(("~", "+")):
        yield Side(conf, _split(name))
    elif is_revision(name, wanted := conf or Path("conf")):
        with extracted(name, wanted) as copy:
            yield Side(copy, shown_as=str(wanted))
    else:
        message = f"`{name}` is no folder, no override set and no git revision"
        hint = 'a folder: `conf`; overrides in one word: `"model=lstm init.gain=2"`; a revision: `HEAD~1`'
        raise ForgeError([Problem("MF070", name, message, hint)])


def _split(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise ForgeError([Problem("MF070", text, f"a quotation mark is not closed in `{text}`")]) from None
