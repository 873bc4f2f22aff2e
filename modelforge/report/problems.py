"""Problems for the terminal: the text of `modelforge.errors.render`, with colour where it helps the eye."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.text import Text

from modelforge.errors import Problem, render
from modelforge.report.words import printable

_GUTTER = re.compile(r"^ *\d* +(?:-->|\||=(?= ))")
_CARETS = re.compile(r"(?<=\| ) *(\^+.*)$")
_HEAD = re.compile(r"^(error|warning)\[\w+\]")


def problems_text(problems: Iterable[Problem]) -> Text:
    """All problems, one empty line between them; lines are never wrapped, so that carets stay below what they mark.

    Example:
        >>> print(problems_text([Problem("MF020", "init.scheme", "unknown initializer `xavir`")]))
        error[MF020]: unknown initializer `xavir`
          --> init.scheme
    """
    return Text("\n\n", no_wrap=True, overflow="ignore").join(problem_text(problem) for problem in problems)


def problem_text(problem: Problem) -> Text:
    """One problem."""
    lines = [_line(line, problem.severity) for line in printable(render(problem)).split("\n")]
    return Text("\n", no_wrap=True, overflow="ignore").join(lines)


def _line(line: str, severity: str) -> Text:
    colour = "red" if severity == "error" else "yellow"
    text = Text(line)
    if head := _HEAD.match(line):
        text.stylize("bold")
        text.stylize(f"bold {colour}", 0, head.end())
    elif gutter := _GUTTER.match(line):
        text.stylize("blue", 0, gutter.end())
        if (carets := _CARETS.search(line)) and gutter[0].endswith("|"):
            text.stylize(colour, *carets.span(1))
    return text
