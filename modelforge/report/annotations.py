"""`Annotation`: one finding at one place, for the tools that show findings beside the code; and GitHub's and GitLab's
forms of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from modelforge.core.errors import Problem
from modelforge.core.quoting import printable

Severity = Literal["info", "warning", "error"]
_COMMANDS = {"info": "notice", "warning": "warning", "error": "error"}
_SEVERITIES: Mapping[str, Severity] = {"note": "info", "warning": "warning", "error": "error"}
_RANKS = {"info": "info", "warning": "minor", "error": "critical"}


@dataclass(frozen=True, slots=True)
class Annotation:
    """One finding: what it is, how bad, and where."""

    code: str
    """Of a problem its code, of a change its kind."""
    severity: Severity
    message: str
    file: str = ""
    """Empty where no file is to blame."""
    line: int = 0
    """From 1; 0 for a file as a whole."""
    column: int = 0
    fingerprint: str = ""
    """Equal for an equal finding, whatever its line; made of code, file and message if empty."""

    @classmethod
    def of(cls, problem: Problem) -> Annotation:
        """The annotation of a problem."""
        place, severity = problem.place, _SEVERITIES[problem.severity]
        message = f"{problem.message} ({problem.hint})" if problem.hint else problem.message
        if place is None or place.override is not None or not place.file:
            return cls(problem.code, severity, message)
        return cls(problem.code, severity, message, place.file, place.line, place.column)

    @property
    def identity(self) -> str:
        """The fingerprint, or one of code, file and message."""
        return self.fingerprint or sha256("\n".join((self.code, self.file, self.message)).encode()).hexdigest()[:12]


def github(annotations: Iterable[Annotation]) -> str:
    """Workflow commands, one a line, that GitHub shows beside the changed lines.

    Example:
        >>> print(github([Annotation("MF014", "error", "100% wrong", "conf/a,b.yaml", 3)]), end="")
        ::error file=conf/a%2Cb.yaml,line=3,title=MF014::100%25 wrong
    """
    return "".join(f"{_command(one)}\n" for one in annotations)


def _command(one: Annotation) -> str:
    numbers = {"file": one.file, "line": one.line, "col": one.column if one.line else 0, "title": one.code}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in numbers.items() if value)
    return f"::{_COMMANDS[one.severity]} {properties}::{_data(printable(one.message, chr(10)))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")


def gitlab(annotations: Iterable[Annotation]) -> str:
    """GitLab's code quality report; findings without a file have no place in it."""
    items = [
        {
            "description": printable(one.message),
            "check_name": one.code,
            "fingerprint": identity,
            "severity": _RANKS[one.severity],
            "location": {"path": one.file, "lines": {"begin": max(one.line, 1)}},
        }
        for one, identity in identified([one for one in annotations if one.file])
    ]
    return json.dumps(items, indent=2) + "\n"


def identified(annotations: Iterable[Annotation]) -> Iterator[tuple[Annotation, str]]:
    """Each with its identity, and a number behind that of a repeated one: tools show one finding for each.

    Example:
        >>> one = Annotation("MF014", "error", "wrong", fingerprint="0" * 12)
        >>> [identity for _, identity in identified([one, one])]
        ['000000000000', '000000000000-2']
    """
    seen: Counter[str] = Counter()
    for one in annotations:
        seen[one.identity] += 1
        number = seen[one.identity]
        yield one, one.identity if number == 1 else f"{one.identity}-{number}"


def located(annotations: Iterable[Annotation]) -> Sequence[Annotation]:
    """Those that name a line of a file."""
    return [one for one in annotations if one.file and one.line]
