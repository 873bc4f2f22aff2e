"""Problems for the terminal: the text of `modelforge.core.errors.render`, with colour where it helps the eye."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.text import Text

from modelforge.core.errors import Problem, grouped, render

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
_GUTTER = re.compile(r"^ *\d* +(?:-->|\||=(?= ))")
_CARETS = re.compile(r"(?<=\| ) *(\^+.*)$")
_HEAD = re.compile(r"^(error|warning|note)\[\w+\]")


def problems_text(problems: Iterable[Problem]) -> Text:
    """All problems, one empty line between them. Lines are not wrapped, so that carets stay below what they mark.

    Example:
        >>> print(problems_text([Problem("MF020", "init.scheme", "unknown initializer `xavir`")]))
        error[MF020]: unknown initializer `xavir`
          --> init.scheme
    """
    return Text("\n\n", no_wrap=True, overflow="ignore").join(problem_text(*group) for group in alike(problems))


def alike(problems: Iterable[Problem]) -> list[tuple[Problem, ...]]:
    """Problems of one kind at one place together, in the order of the first of each."""
    groups: dict[object, list[Problem]] = {}
    for first, *others in grouped(problems):
        # What is equal is together already.
        at = (first.code, first.key, first.hint, first.place) if not others else first
        groups.setdefault(at, []).extend((first, *others))
    return [tuple(group) for group in groups.values()]


def problem_text(problem: Problem, *others: Problem) -> Text:
    """One problem; what else is wrong at the same place, for the same reason, in one line each."""
    lines = render(problem, *others).split("\n")
    return Text("\n", no_wrap=True, overflow="ignore").join(_line(line, problem.severity) for line in lines)


def _line(line: str, severity: str) -> Text:
    colour = COLOURS[severity]
    text = Text(line)
    if head := _HEAD.match(line):
        text.stylize("bold")
        text.stylize(f"bold {colour}", 0, head.end())
    elif gutter := _GUTTER.match(line):
        text.stylize("blue", 0, gutter.end())
        if (carets := _CARETS.search(line)) and gutter[0].endswith("|"):
            text.stylize(colour, *carets.span(1))
    return text
