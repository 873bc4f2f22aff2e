"""syntax_problem: what a YAML parser says of a file → a problem with its place, and the way out."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

from modelforge.core.errors import Place, Problem

CODE = "MF002"


def syntax_problem(error: yaml.MarkedYAMLError, file: str, line_at: Callable[[int], str]) -> Problem:
    """Why a file cannot be parsed.

    Args:
        error: What the parser raised.
        file: The name that the file is shown under.
        line_at: Number of a line, from 0 → its text.
    """
    mark = error.problem_mark or error.context_mark
    message = error.problem or "wrong syntax"
    if mark is None:
        return Problem(CODE, "", message, place=Place(file=file, line=1))
    if known := _known_mistake(mark, error.context_mark, file, line_at):
        return known
    place = Place(file=file, line=mark.line + 1, column=mark.column + 1, source=line_at(mark.line))
    context = error.context_mark if error.context_mark is not error.problem_mark else None
    before, after = place.source[: mark.column], place.source[mark.column :]
    if before.endswith("$") and after.startswith("{"):
        hint = "inside `{}` and `[]` an interpolation is quoted: `'${...}'`"
    elif after.startswith("???"):
        hint = "inside `{}` and `[]` a mandatory value is quoted: `'???'`"
    else:
        hint = f"{error.context}, which begins on line {context.line + 1}" if error.context and context else ""
    return Problem(CODE, "", message, hint, place)


def _known_mistake(
    mark: yaml.Mark, context: yaml.Mark | None, file: str, line_at: Callable[[int], str]
) -> Problem | None:
    """A colon without a blank, and a tab: what YAML says about them leads astray."""
    for line in (mark.line, *([context.line] if context else [])):
        source = line_at(line)
        indent = re.match(r"\s*", source)
        assert indent is not None
        if "\t" in indent[0] and line == mark.line:
            place = Place(file=file, line=line + 1, column=indent[0].index("\t") + 1, source=source)
            return Problem(CODE, "", "the line is indented by a tab", "YAML is indented by blanks", place)
    if context is None or context.line == mark.line:
        return None
    source = line_at(context.line)
    glued = re.fullmatch(r"(\s*)([\w.]+):(\S.*)", source.rstrip())
    if glued is None:
        return None
    column, key, value = len(glued[1]) + 1, glued[2], glued[3]
    place = Place(file, context.line + 1, column, len(source.strip()), source)
    return Problem(CODE, "", f"`{key}:` needs a blank behind its colon", f"write `{key}: {value}`", place)
