"""Problems of data, each at the key of the config that contradicts it or can help."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.words import plural
from modelforge.runs.status import as_hydra_reads

SETTING = re.compile(
    r"(?:write|leave it out:|as categories:|as dates:|with a decimal comma:|fill it in:) `([^`]*data\.[^`]*[^`.])`"
)
"""A hint that only names settings."""
HYDRA_KEY = re.compile(r"(?!(?:true|false|null|nan|inf)$)[a-z_][a-z0-9_-]*(?: [a-z0-9_-]+)*", re.IGNORECASE | re.ASCII)
"""What Hydra reads as a text where a mapping has a key; nothing can be quoted there."""
KEY = re.compile(r"""\s(?=["']?data\.)""")
"""The blank before the next setting."""


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
    >>> print(setting("impute", {"age": "median"}), setting("dates", {"sold": "%d.%m.%Y"}))
    'data.impute={age: median}' "data.dates={sold: '%d.%m.%Y'}"
    >>> print(setting("impute", {"größe": "median"}))  # a name that Hydra does not take as a key
    "data.impute=[['größe',median]]"
    """
    match value:
        case str() if value == "\t":
            shown = "\\t"
        case list() | tuple():
            shown = f"[{','.join(map(_as_hydra_reads, value))}]"
        case Mapping() if not all(map(HYDRA_KEY.fullmatch, value)):
            pairs = (f"[{_as_hydra_reads(name)},{_as_hydra_reads(one)}]" for name, one in value.items())
            shown = f"[{','.join(pairs)}]"
        case Mapping():
            entries = (f"{name}: {_as_hydra_reads(one)}" for name, one in value.items())
            shown = f"{{{', '.join(entries)}}}"
        case _:
            shown = _as_hydra_reads(value)
    text = f"data.{key}={shown}"
    return f'"{text}"' if "'" in text and not set('"$`\\!') & set(text) else shlex.quote(text)


def _as_hydra_reads(value: object) -> str:
    return as_hydra_reads(value) if isinstance(value, str) else str(value)


def settings(problems: Iterable[Problem]) -> list[str]:
    """The settings that hints of problems name, each key once: as the last one names it."""
    found = (SETTING.fullmatch(problem.hint) for problem in problems)
    lines = (line for match in found if match for line in KEY.split(match[1]))
    return [*{line.partition("=")[0].lstrip("\"'"): line for line in lines}.values()]


def together(problems: Sequence[Problem]) -> list[Problem]:
    """The problems; the hints that name one setting each name all of them, so that one more run is enough."""
    if len(lines := settings(problems)) < 2:
        return [*problems]
    whole = f"write `{' '.join(lines)}`"
    return [replace(problem, hint=whole) if settings([problem]) else problem for problem in problems]
