"""Problems of data, each at the key of the config that contradicts it or can help."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.words import plural
from modelforge.runs.status import as_hydra_reads

SETTING = re.compile(r"(?:write|leave it out:) `([^`]*data\.[^`]*[^`.])`")
"""A hint that only names settings."""


def fault(where: str, message: str, hint: str = "") -> Problem:
    """One problem; `where` is a key of the `data` section."""
    return Problem("MF053", f"data.{where}", message, hint)


def refusal(where: str, message: str, hint: str = "") -> ForgeError:
    """One problem, as the error to raise."""
    return ForgeError([fault(where, message, hint)])


def undeclared(key: str, unit: str, found: int, declared: int, named: str) -> Problem:
    """The problem of a number that the file contradicts; the hint is the override to write."""
    message = f"{named} has {plural(found, unit)}, but `{key}` is {declared}"
    return fault(key, message, f"write `{setting(key, found)}`")


def setting(key: str, value: object) -> str:
    """An override as a shell takes it.

    >>> print(setting("num_features", 4), setting("ignore", ["city", "1"]))
    data.num_features=4 "data.ignore=[city,'1']"
    """
    match value:
        case str():
            shown = as_hydra_reads(value) if value != "\t" else "\\t"
        case list() | tuple():
            shown = f"[{','.join(as_hydra_reads(one) if isinstance(one, str) else str(one) for one in value)}]"
        case _:
            shown = str(value)
    text = f"data.{key}={shown}"
    return f'"{text}"' if "'" in text and not set('"$`\\!') & set(text) else shlex.quote(text)


def settings(problems: Iterable[Problem]) -> list[str]:
    """The settings that hints of problems name, each once."""
    found = (SETTING.fullmatch(problem.hint) for problem in problems)
    return list(dict.fromkeys(match[1] for match in found if match))


def together(problems: Sequence[Problem]) -> list[Problem]:
    """The problems; the hints that name one setting each name all of them, so that one more run is enough."""
    if len(lines := settings(problems)) < 2:
        return [*problems]
    whole = f"write `{' '.join(lines)}`"
    return [replace(problem, hint=whole) if settings([problem]) else problem for problem in problems]
