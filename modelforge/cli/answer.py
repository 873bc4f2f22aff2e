"""`Answer`: the result of a command, as data and as text. Commands return answers; `say` prints one and exits."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO, TypeVar

from rich.console import Console, Group, RenderableType

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.lazy_extras import import_extras_late
from modelforge.core.plugins import load_plugins
from modelforge.core.quoting import printable
from modelforge.report.problems import problems_text
from modelforge.report.screen import Screen
from modelforge.report.stream import Stream

WIDTH = 200
"""Columns of what goes into a file, a pipe or a log, unless the environment's `COLUMNS` says otherwise."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Answer:
    """The result of a command."""

    data: Any
    """As `--json` prints it."""
    text: RenderableType
    """As a person reads it; a plain string is printed as it is."""
    status: int = 0
    """0 fine, 1 problems found, 2 misuse."""
    problems: tuple[Problem, ...] = ()
    """What is wrong, or worth knowing, although there is an answer: goes to stderr before it, with `--json` as data."""
    is_data: bool = False
    """Whether the text is for programs: all its characters go into a file or a pipe; a terminal gets escapes of those
    that cannot be seen."""


def say(
    command: Callable[..., Answer],
    *arguments: Any,
    as_json: bool = False,
    failure: int = 1,
    plugins: bool = True,
    **options: Any,
) -> NoReturn:
    """Imports the project's plugins unless `plugins` is false, runs a command, prints its answer or its problems, and
    exits (with `failure`).
    """
    import_extras_late()
    try:
        if plugins:
            load_plugins()
        answer = command(*arguments, **options)
    except ForgeError as error:
        _say_problems(error.problems, as_json)
        sys.exit(failure)
    if answer.problems:
        _say_problems(answer.problems, as_json, sys.stderr)
    try:
        if as_json:
            _say_json(answer.data, sys.stdout)
        elif isinstance(answer.text, str):
            as_it_is = answer.is_data and not sys.stdout.isatty()
            # Markdown of ours uses the last.
            Stream(sys.stdout).write(answer.text if as_it_is else printable(answer.text, "\n\t\r\u200b"))
        else:
            _show(answer.text, console())
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # or Python would try again when it ends
        sys.stderr.write(f"the answer cannot be written: {error.strerror or error}\n")
        sys.exit(1)
    sys.exit(answer.status)


def console(*, stderr: bool = False) -> Console:
    """A console that is `WIDTH` wide where it is not a terminal and the environment does not say otherwise."""
    screen = Screen(stderr=stderr, highlight=False, markup=False, emoji=False)
    if "COLUMNS" not in os.environ and not screen.is_terminal:
        screen.width = WIDTH
    return screen


def progress(items: Sequence[Item], label: str) -> Iterator[Item]:
    """The items, with a bar on the terminal while they last."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        yield from bar.track(items, description=label)


def _show(text: RenderableType, screen: Console) -> None:
    """On a terminal as it is; elsewhere, or on one with few letters, without the blanks that fill a table's lines."""
    if screen.is_terminal and screen.encoding.startswith("utf"):
        screen.print(Group(text), crop=False)
        return
    with screen.capture() as capture:
        screen.print(Group(text), crop=False)
    lines = capture.get().removesuffix("\n").split("\n")
    Stream(screen.file).write("".join(f"{line.rstrip(' ')}\n" for line in lines))
    screen.file.flush()


def _say_problems(problems: Iterable[Problem], as_json: bool, stream: TextIO | None = None) -> None:
    """Text goes to stderr; data to stdout, where it is the answer, unless `stream` is another."""
    if as_json:
        _say_json({"problems": [problem.to_dict() for problem in problems]}, stream or sys.stdout)
    else:
        _show(problems_text(problems), console(stderr=True))


def _say_json(data: Any, stream: TextIO) -> None:
    from pydantic_core import to_json

    text = to_json(data, indent=2, inf_nan_mode="strings", fallback=str).decode()
    text = _as_json(text)
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=2)  # which escapes what is not ASCII
    stream.write(f"{text}\n")


def _as_json(text: str) -> str:
    """JSON in which characters that cannot be seen are escapes; they stand in strings only."""
    if printable(text, "\n") == text:
        return text
    return "".join(one if printable(one, "\n") == one else json.dumps(one)[1:-1] for one in text)
