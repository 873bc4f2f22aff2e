"""Problems: each with a code, a message and a place, collected per phase and raised together as one `ForgeError`.

Inner code states the fact, the phase adds the override key, and `Origins` (see `modelforge.config`) adds the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from modelforge.core.paths import last
from modelforge.core.quoting import MAX_MESSAGE, MAX_QUOTED, bounded, listed, printable, shortened
from modelforge.core.shown import Shown

MAX_PROBLEMS = 300
"""Of one phase; the last problem gives the number of all others."""
MAX_PLACES = 3
"""Places of equal problems that are listed."""
_MORE = "MF061"
_BACKTICKED = re.compile(r"`([^`]*)`")
_NAME = re.compile(r"[^\W\d]\w*(\.\w+)*")
_NUMBER = re.compile(r"\d+")
_WINDOW = 50
"""Characters of a source line before and after what is marked, where the whole line is too long."""

Severity = Literal["error", "warning", "note"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a position in a file, or a command-line override.

    `line` and `column` count from 1; `length` is the number of characters to underline. `via` is the other end of an
    interpolation or an alias: the place of the value that `${...}` or `*name` led to.
    """

    file: str | None = None
    line: int = 0
    column: int = 0
    length: int = 1
    source: str = ""
    override: str | None = None
    via: Place | None = None

    def __str__(self) -> str:
        if self.override is not None:
            return f"override {shortened(self.override)}"
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"

    def to_dict(self) -> dict[str, Any]:
        """The place as plain data; absent parts are left out."""
        if self.override is not None:
            data: dict[str, Any] = {"override": shortened(self.override)}
        else:
            source = shortened(self.source)
            data = {"file": self.file, "line": self.line, "column": self.column, "source": source}
        return data | ({"via": self.via.to_dict()} if self.via else {})


@dataclass(frozen=True, slots=True)
class Problem(Shown):
    """One thing that is wrong: `key` is the override key, `part` says whether its key or its value is to blame.

    A problem of a built model or a ledger has a `parameter`'s path in place of a key.
    """

    code: str
    key: str
    message: str
    hint: str = ""
    place: Place | None = None
    part: Literal["key", "value", "parameter"] = "value"
    severity: Severity = "error"
    """Of a code `MW…` at most `warning`."""
    num: int = 1
    """How many problems it stands for."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", bounded(self.message))
        object.__setattr__(self, "hint", shortened(self.hint, MAX_MESSAGE))  # a line to copy stays whole
        if self.severity == "error" and self.code.startswith("MW"):
            object.__setattr__(self, "severity", "warning")

    @property
    def path(self) -> str:
        """The key, under its name before 0.2."""
        return self.key

    def at(self, place: Place | None) -> Problem:
        """The same problem with its place filled in."""
        return replace(self, place=place)

    def to_dict(self) -> dict[str, Any]:
        """The problem as plain data, as `--json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "key": shortened(self.key),
            "path": shortened(self.key),  # the name before 0.2
            "message": self.message,
            "hint": self.hint,
            "place": self.place.to_dict() if self.place else None,
        }

    def __str__(self) -> str:
        return render(self)


class Refusal(Exception):
    """A fact that stands in the way, and the way out; a caller that knows the place makes a `Problem` of it.

    Args:
        reason: The fact.
        hint: The way out; empty if there is none.
        code: The problem's code; empty where the caller chooses it.

    Example:
        >>> refusal = Refusal("a vector has no rows", "give it a matrix")
        >>> str(refusal), refusal.hint, refusal.code or "MF026"
        ('a vector has no rows', 'give it a matrix', 'MF026')
    """

    def __init__(self, reason: str, hint: str = "", code: str = "") -> None:
        super().__init__(reason, hint, code)
        self.reason = reason
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return self.reason


class ForgeError(Exception):
    """A user's mistakes; `problems` holds all that one phase found, or the first and the number of the others."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = first(problems)
        assert self.problems, "a ForgeError needs at least one problem"
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n\n".join(render(*group) for group in grouped(self.problems))


def problems_of(make: Callable[[], object]) -> list[Problem]:
    """The problems for which a function raises."""
    try:
        make()
    except ForgeError as error:
        return list(error.problems)
    return []


def first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first `MAX_PROBLEMS`, and one more with the number of the others."""
    given = tuple(problems)
    shown = [problem for problem in given if problem.code != _MORE]
    more = sum(problem.num for problem in given) - len(shown[:MAX_PROBLEMS])
    return (*shown[:MAX_PROBLEMS], *([more_problems(more)] if more else ()))


def more_problems(number: int) -> Problem:
    """The problem that stands for those that are not shown."""
    what = "1 more problem is" if number == 1 else f"{number:,} more problems are"
    return Problem("MF061", "", f"{what} not shown", "correct those above first", num=number)


def for_each(items: Iterable[T], problem: Callable[[T], Problem]) -> Iterator[Problem]:
    """A problem for each item; only those that will be shown are made."""
    every = list(items)
    yield from map(problem, every[:MAX_PROBLEMS])
    if len(every) > MAX_PROBLEMS:
        yield more_problems(len(every) - MAX_PROBLEMS)


def grouped(problems: Iterable[Problem]) -> list[tuple[Problem, ...]]:
    """Groups of problems with one message at many places, or with many messages at one place, in order.

    Messages are the same if they differ only in the names of copies: `blocks.0.norm`, `blocks.1.norm`.
    """
    given = tuple(problems)
    of_many = _many(given, _statement)
    rest = [problem for problem in given if problem not in of_many]
    of_many |= _many(rest, lambda problem: (problem.code, problem.severity, problem.key, problem.hint, problem.place))
    groups = {of_many.get(problem, (problem,)): None for problem in given}
    return list(groups)


def _many(
    problems: Sequence[Problem], key: Callable[[Problem], tuple[object, ...]]
) -> dict[Problem, tuple[Problem, ...]]:
    """The group of each problem whose key more than `MAX_PLACES` problems share."""
    groups: dict[tuple[object, ...], list[Problem]] = {}
    for problem in problems:
        groups.setdefault(key(problem), []).append(problem)
    return {problem: tuple(group) for group in groups.values() if len(group) > MAX_PLACES for problem in group}


def _statement(problem: Problem) -> tuple[str, ...]:
    """The message without the name of its place, and without the numbers of copies in other names; values stay."""
    names = {problem.key, last(problem.key)}
    of_place = {_numberless(part) for part in problem.key.split(".")}

    def statement(match: re.Match[str]) -> str:
        parts = match[1].split(".")
        if match[1] in names or not _NAME.fullmatch(match[1]):
            return "" if match[1] in names else match[0]
        return ".".join(
            _numberless(part) if part.isdigit() or _numberless(part) in of_place else part for part in parts
        )

    return problem.code, problem.severity, _BACKTICKED.sub(statement, f"{problem.message}\n{problem.hint}")


def _numberless(part: str) -> str:
    return _NUMBER.sub("0", part)


def render(problem: Problem, *others: Problem) -> str:
    """The problem as text with its source line, in the form compilers use; `others` are the rest of its group."""
    lines = [f"{problem.severity}[{problem.code}]: {printable(problem.message)}"]
    place, path = problem.place, printable(shortened(problem.key))
    if place is None:
        lines += [f"  --> {path}"] if path else []
        return "\n".join([*lines, *_help("   ", problem.hint.split("\n")), *_elsewhere(problem, others)])
    lines += _render_place(place, problem.hint)
    if place.via is not None:
        lines += ["   = the value comes from", *_render_place(place.via, "")]
    if path and place.override is None:
        lines.append(f"   = {'parameter' if problem.part == 'parameter' else 'override key'}: {path}")
    return "\n".join(lines + _elsewhere(problem, others))


def _elsewhere(problem: Problem, others: Sequence[Problem]) -> list[str]:
    """The other places of a group, or its other messages at one place; of many the first, and the number."""
    if not others:
        return []
    if all(other.key == problem.key and other.place == problem.place for other in others):
        # One more is named, too, in the line that its count would take.
        named = others if len(others) == MAX_PLACES + 1 else others[:MAX_PLACES]
        more = [f"   = and {len(others) - len(named):,} more"] if len(others) > len(named) else []
        return [*(f"   = also: {printable(other.message)}" for other in named), *more]
    spots = [f"`{shortened(other.key)}`" if other.key else other.place for other in others]
    return [f"   = {len(others) + 1:,} times, also at {listed(spots, MAX_PLACES)}"]


def _render_place(place: Place, hint: str) -> list[str]:
    first_hint, *more_hints = hint.split("\n")
    if place.override is not None or not place.source:
        return [f"  --> {printable(str(place))}", *_help("   ", [first_hint, *more_hints])]
    number = str(place.line)
    gutter = " " * len(number)
    source, column, length = _window(place)
    # Carets stay below what they mark where escapes take more room.
    start, end = column - 1, column - 1 + max(length, 1)
    before, marked = printable(source[:start]), printable(source[start:end])
    caret = " " * max(len(before), start) + "^" * max(len(marked), end - start)
    return [
        f"{gutter} --> {printable(str(place))}",
        f"{gutter}  |",
        f"{number}  | {printable(source)}",
        f"{gutter}  | {caret} {printable(first_hint)}".rstrip(),
        *_help(f"{gutter}  ", more_hints),
    ]


def _help(margin: str, hints: Iterable[str]) -> list[str]:
    return [f"{margin}= help: {printable(hint)}" for hint in hints if hint]


def _window(place: Place) -> tuple[str, int, int]:
    """The source line with the column and the length to mark; of a long line what is around the mark."""
    source = place.source.rstrip()
    if len(source) <= MAX_QUOTED:
        return shortened(source, len(source)), place.column, place.length
    start = max(place.column - 1 - _WINDOW, 0)
    length = min(place.length, 2 * _WINDOW)
    stop = place.column - 1 + length + _WINDOW
    before, after = "..." if start else "", "..." if stop < len(source) else ""
    return shortened(f"{before}{source[start:stop]}{after}", MAX_MESSAGE), place.column - start + len(before), length
