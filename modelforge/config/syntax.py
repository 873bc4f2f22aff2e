"""syntax_problem: what a YAML parser says of a file → a problem with its place, and the way out."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from modelforge.core.errors import Place, Problem

CODE = "MF002"


def syntax_problem(error: yaml.MarkedYAMLError, file: str, lines: Sequence[str]) -> Problem:
    """Why a file cannot be parsed.

    Args:
        error: What the parser raised.
        file: The name that the file is shown under.
        lines: Its lines.
    """
    mark = error.problem_mark or error.context_mark
    message = error.problem or "wrong syntax"
    if message.startswith("but "):
        message = f"{error.context}, {message}"  # half a sentence by itself
    if mark is None:
        return Problem(CODE, "", message, place=Place(file=file, line=1))
    if known := _conflict(file, lines) or _known_mistake(mark, error.context_mark, file, lines):
        return known
    place = Place(file=file, line=mark.line + 1, column=mark.column + 1, source=_at(lines, mark.line))
    context = error.context_mark if error.context_mark is not error.problem_mark else None
    before, after = place.source[: mark.column], place.source[mark.column :]
    if before.endswith("$") and after.startswith("{"):
        hint = "inside `{}` and `[]` an interpolation is quoted: `'${...}'`"
    elif after.startswith("???"):
        hint = "inside `{}` and `[]` a mandatory value is quoted: `'???'`"
    else:
        hint = f"{error.context}, which begins on line {context.line + 1}" if error.context and context else ""
    return Problem(CODE, "", message, hint, place)


def _at(lines: Sequence[str], index: int) -> str:
    return lines[index] if index < len(lines) else ""


def _conflict(file: str, lines: Sequence[str]) -> Problem | None:
    """A merge that git left to its user."""
    begin = next((index for index, line in enumerate(lines) if line.startswith("<<<<<<< ")), None)
    if begin is None or not any(line.startswith(">>>>>>> ") for line in lines[begin:]):
        return None
    hint = "keep one side of it, and remove the lines `<<<<<<<`, `=======` and `>>>>>>>`"
    place = Place(file=file, line=begin + 1, column=1, source=lines[begin])
    return Problem(CODE, "", "a merge conflict is not resolved", hint, place)


def _known_mistake(mark: yaml.Mark, context: yaml.Mark | None, file: str, lines: Sequence[str]) -> Problem | None:
    """A colon without a blank, and a tab: what YAML says about them leads astray."""
    for line in (mark.line, *([context.line] if context else [])):
        source = _at(lines, line)
        indent = re.match(r"\s*", source)
        assert indent is not None
        if "\t" in indent[0] and line == mark.line:
            place = Place(file=file, line=line + 1, column=indent[0].index("\t") + 1, source=source)
            return Problem(CODE, "", "the line is indented by a tab", "YAML is indented by blanks", place)
    if context is None or context.line == mark.line:
        return None
    source = _at(lines, context.line)
    glued = re.fullmatch(r"(\s*)([\w.]+):(\S.*)", source.rstrip())
    if glued is None:
        return None
    column, key, value = len(glued[1]) + 1, glued[2], glued[3]
    place = Place(file, context.line + 1, column, len(source.strip()), source)
    return Problem(CODE, "", f"`{key}:` needs a blank behind its colon", f"write `{key}: {value}`", place)
