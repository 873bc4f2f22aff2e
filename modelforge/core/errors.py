"""What a user is told: problems with a place, collected per phase and raised together as one `ForgeError`.

Inner code states the fact, the phase adds the path, and `Origins` (see `modelforge.config`) adds the place.
Codes are stable; `CODES` says in one line what each of them means.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal, TypeVar

CODES = MappingProxyType(
    {
        "MF001": "the configuration cannot be composed",
        "MF002": "a file cannot be read as YAML",
        "MF003": "an interpolation cannot be resolved",
        "MF004": "a config that reaches outside its folder",
        "MF005": "an interpolation that a config file may not use",
        "MF006": "a setting of Hydra's that a config may not make",
        "MF010": "unknown layer type",
        "MF011": "a required key is missing",
        "MF012": "unknown argument",
        "MF013": "missing argument",
        "MF014": "wrong type or value",
        "MF015": "unknown key",
        "MF016": "a layer name that cannot be used",
        "MF017": "a block that cannot be written out",
        "MF018": "wrong arguments of a block, or of the model",
        "MF019": "a template that has no value",
        "MF020": "unknown scheme",
        "MF021": "unknown field in an init block",
        "MF022": "wrong value in an init block",
        "MF023": "an init rule that matches no parameter",
        "MF024": "two init rules of equal rank",
        "MF025": "a parameter that no rule covers",
        "MF026": "a scheme that cannot serve a parameter",
        "MF027": "an init block that refines nothing",
        "MF028": "a parameter did not come out as promised",
        "MF029": "a module that is frozen as a whole",
        "MF030": "unknown input",
        "MF031": "an input that comes later",
        "MF032": "wrong number of inputs",
        "MF040": "a shape that does not fit",
        "MF041": "the layer's constructor refuses its arguments",
        "MF042": "an argument contradicts the shape that arrives",
        "MF043": "the layer cannot run on what arrives",
        "MF044": "the batch dimension is lost, or examples see one another",
        "MF045": "parameters that cannot be tied",
        "MF050": "model and data do not fit",
        "MF051": "wrong training settings",
        "MF052": "training diverged",
        "MF053": "data that cannot be used",
        "MF058": "a file of a run cannot be written",
        "MF060": "too large",
        "MF061": "more problems than are shown",
        "MF062": "a number or a text that no config can hold",
        "MF065": "a parameter that does not match its ledger",
        "MF066": "a ledger that cannot be read",
        "MF067": "a parameter that only the ledger has, or only the model",
        "MF068": "a run that cannot be built again",
        "MF069": "a ledger that says what its config does not",
        "MF070": "the two sides of a diff cannot be read",
        "MF071": "a folder that holds no runs",
        "MF072": "a folder in which no project can be made",
        "MF080": "nothing has this name",
        "MF081": "a plugin that cannot be imported",
        "MF082": "a sweep whose jobs are not those that are written",
        "MF090": "a scheme lacks a field",
        "MF091": "fields of a scheme that do not go together",
        "MF092": "a truncation that keeps nothing",
        "MF093": "a kernel that cannot keep norms",
        "MF094": "a parameter that cannot be written",
        "MF095": "a scheme for networks of another kind",
        "MF110": "a file of weights that cannot be read",
        "MF111": "a file of weights that holds code",
        "MF112": "values that a file of weights lacks",
        "MF113": "values of a file that the model has no place for",
        "MF114": "values of a file that do not fit their parameters",
        "MF115": "a subset or rename that matches nothing in its file",
        "MF116": "a rename that makes two names equal",
        "MF117": "a tensor of a file that cannot be split or transposed",
        "MF118": "a skip that matches no parameter, or all",
        "MF120": "unknown calibration",
        "MF121": "wrong calibration settings",
        "MF122": "nothing to calibrate",
        "MF123": "an output that cannot be calibrated",
        "MF130": "what is no layer",
        "MF131": "a module whose `forward` cannot be followed",
        "MF132": "what a module holds that a config cannot say",
        "MF133": "modules that cannot be brought into the order of a config",
        "MF134": "example inputs that cannot be used",
        "MF135": "a config that does not make the same network",
        "MW101": "constant weights: units stay equal",
        "MW102": "a variance that no depth keeps",
        "MW103": "projections that belong together start apart",
        "MW104": "a value that nobody reads",
        "MW105": "a layer that makes no finite values of negative, large or zero ones",
        "MW106": "predictions that depend on the rest of their batch",
        "MW107": "a layer that a scheme cannot see into",
        "MW108": "a rule for ends of branches that fills none",
        "MW109": "an init rule without effect",
        "MW110": "fields of another scheme that stay when `scheme` alone is changed",
        "MW113": "a parameter that may be several matrices",
        "MW201": "data that is left out",
        "MW202": "a class that is missing from a part of the data",
        "MW203": "numbers of the data that are constant",
        "MW204": "names in the data that look equal, but are not",
        "MW210": "the best epoch of a resumed run is lost",
        "MW211": "a scheduler that does not get to its end",
        "MW220": "a setting without effect on this run",
    }
)

MAX_PROBLEMS = 300
"""Of one run; of what else is wrong the number is said."""
MAX_QUOTED = 200
"""Characters of anything that was given."""
MAX_MESSAGE = 1_000
MAX_SENTENCE = 300
"""Of what an exception says."""

MAX_PLACES = 3
"""Of equal problems."""
MAX_CHOICES = 500
"""Names that are compared with a wrong one."""
_TOLD = 50
"""Characters around a quote, and those that say how long it was."""
_MORE = "MF061"
_BACKTICKED = re.compile(r"`([^`]*)`")
_NUMBER = re.compile(r"\d+")
_LONG_WORD = re.compile(rf"\S{{{MAX_QUOTED + _TOLD},}}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WINDOW = 50
"""Characters of a source line before and after what is marked, where the whole line is too long."""

Severity = Literal["error", "warning"]
T = TypeVar("T")

# Letters and marks that show nothing: Python counts them as printable.
_WITHOUT_WIDTH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: a position in a file, or a command-line override.

    `line` and `column` count from 1; `length` is the number of characters to underline. `via` is the other end of an
    interpolation: the place of the value that `${...}` led to.
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
class Problem:
    """One thing that is wrong: `path` is the override key, `part` says whether its key or its value is to blame.

    A problem of a built model or a ledger has a `parameter`'s path in place of a key.
    """

    code: str
    path: str
    message: str
    hint: str = ""
    place: Place | None = None
    part: Literal["key", "value", "parameter"] = "value"
    severity: Severity = "error"
    num: int = 1
    """How many problems it stands for."""

    def __post_init__(self) -> None:
        for name in ("message", "hint"):
            object.__setattr__(self, name, _bounded(getattr(self, name)))

    def at(self, place: Place | None) -> Problem:
        """The same problem with its place filled in."""
        return replace(self, place=place)

    def to_dict(self) -> dict[str, Any]:
        """The problem as plain data, as `--json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": shortened(self.path),
            "message": self.message,
            "hint": self.hint,
            "place": self.place.to_dict() if self.place else None,
        }

    def __str__(self) -> str:
        return render(self)


class Refusal(Exception):
    """What cannot be done, and the way out; the caller knows where, and makes a `Problem` of it.

    Args:
        reason: The fact.
        hint: The way out; empty if there is none.
        code: Of the problem that it is; empty where that is for the caller to say.

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
    """A user's mistake; `problems` holds all that one phase found, or the first and how many more there are."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = first(problems)
        assert self.problems, "a ForgeError needs at least one problem"
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n\n".join(render(*group) for group in grouped(self.problems))


def first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first `MAX_PROBLEMS`, and of the others one that says how many they are."""
    given = tuple(problems)
    shown = [problem for problem in given if problem.code != _MORE]
    more = sum(problem.num for problem in given) - len(shown[:MAX_PROBLEMS])
    return (*shown[:MAX_PROBLEMS], *([more_problems(more)] if more else ()))


def more_problems(number: int) -> Problem:
    """What stands for problems that are not shown."""
    what = "1 more problem is" if number == 1 else f"{number:,} more problems are"
    return Problem("MF061", "", f"{what} not shown", "correct those above first", num=number)


def for_each(items: Iterable[T], problem: Callable[[T], Problem]) -> Iterator[Problem]:
    """A problem of each item, made for those alone that will be shown."""
    every = list(items)
    yield from map(problem, every[:MAX_PROBLEMS])
    if len(every) > MAX_PROBLEMS:
        yield more_problems(len(every) - MAX_PROBLEMS)


def grouped(problems: Iterable[Problem]) -> list[tuple[Problem, ...]]:
    """Problems that say the same of many places, or much of one place, together; in the order of the first of each.

    What differs in names and numbers of copies alone (`blocks.0.norm`, `blocks.1.norm`) says the same.
    """
    given = tuple(problems)
    of_many = _many(given, _statement)
    rest = [problem for problem in given if problem not in of_many]
    of_many |= _many(rest, lambda problem: (problem.code, problem.severity, problem.path, problem.hint, problem.place))
    groups = {of_many.get(problem, (problem,)): None for problem in given}
    return list(groups)


def _many(
    problems: Sequence[Problem], key: Callable[[Problem], tuple[object, ...]]
) -> dict[Problem, tuple[Problem, ...]]:
    """For each of more than `MAX_PLACES` problems of one key all of them."""
    groups: dict[tuple[object, ...], list[Problem]] = {}
    for problem in problems:
        groups.setdefault(key(problem), []).append(problem)
    return {problem: tuple(group) for group in groups.values() if len(group) > MAX_PLACES for problem in group}


def _statement(problem: Problem) -> tuple[str, ...]:
    """What a problem says, without the name of its place and without numbers."""
    names = {problem.path, problem.path.rpartition(".")[2]}
    said = f"{problem.message}\n{problem.hint}"
    said = _BACKTICKED.sub(lambda found: "" if found[1] in names else found[0], said)
    return problem.code, problem.severity, _NUMBER.sub("0", said)


def quoted(value: object) -> str:
    """A value as Python writes it, of a long one the beginning.

    >>> quoted("relu"), quoted("x" * 1_000_000)[-30:]
    ("'relu'", 'xxxx... (1,000,002 characters)')
    """
    try:
        return shortened(repr(value))
    except (RecursionError, ValueError):
        return f"a value of the type `{type(value).__name__}` that is too large to be shown"


def shortened(text: str, most: int = MAX_QUOTED) -> str:
    """The text, of a long one the beginning; a lone surrogate, which nothing can print, is escaped."""
    cut = text if len(text) <= most else f"{text[:most]}... ({len(text):,} characters)"
    return cut if cut.isascii() else _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)


def listed(names: Iterable[object], most: int, between: str = ", ", quote: str = "") -> str:
    """Names in a row, of many the first; one more than `most` is named, too, in the room that its count would take.

    >>> listed(["a"], 2), listed("abc", 2), listed("abcd", 2, quote="`"), listed(["x is 1", "y is 2"], 3, "; ")
    ('a', 'a, b and c', '`a`, `b` and 2 more', 'x is 1; y is 2')
    """
    shown = [f"{quote}{printable(str(name))}{quote}" for name in names]
    if len(shown) > most + 1:
        shown = [*shown[:most], f"{len(shown) - most:,} more"]
    last = " and " if between == ", " else between
    return last.join(filter(None, (between.join(shown[:-1]), *shown[-1:])))


def sentence(error: BaseException, most: int = MAX_SENTENCE) -> str:
    """What an exception says, in one line and bounded; its type where it says nothing.

    >>> sentence(ValueError("two\\n  lines")), sentence(KeyError()), len(sentence(ValueError("x" * 1_000)))
    ('two lines', 'KeyError', 300)
    >>> sentence(FileNotFoundError(2, "No such file or directory", "a/b"))
    'no such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    # What follows is torch's own stack.
    text = " ".join(str(error).partition("Exception raised from")[0].split()) or type(error).__name__
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _cut(quote: str) -> str:
    """A quote that is too long, and was not shortened yet."""
    return quote if len(quote) <= MAX_QUOTED + _TOLD else shortened(quote)


def _bounded(text: str) -> str:
    """A message or hint that quotes no more than it should, whatever was put into it."""
    if len(text) > MAX_QUOTED:
        text = _BACKTICKED.sub(lambda found: f"`{_cut(found[1])}`", text)
        text = _LONG_WORD.sub(lambda found: _cut(found[0]), text)
    return shortened(text, MAX_MESSAGE)


def render(problem: Problem, *others: Problem) -> str:
    """The problem as text with its source line, in the form compilers use; of equal `others` the first places."""
    lines = [f"{problem.severity}[{problem.code}]: {printable(problem.message)}"]
    place, path = problem.place, printable(shortened(problem.path))
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
    """Of equal problems the first places and the number of all; of others at the same place the first messages."""
    if not others:
        return []
    if all(other.path == problem.path and other.place == problem.place for other in others):
        more = [f"   = and {len(others) - MAX_PLACES:,} more"] if len(others) > MAX_PLACES else []
        return [*(f"   = also: {printable(other.message)}" for other in others[:MAX_PLACES]), *more]
    spots = [f"`{shortened(other.path)}`" if other.path else other.place for other in others]
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


def printable(text: str, keep: str = "") -> str:
    r"""The text with every character that cannot be seen, or moves others, as its escape; `keep` lists exceptions.

    Controls, line breaks, marks of direction, characters without width, blanks that are no space.

    >>> printable("\x1b[31mred\n"), printable("two\nlines", keep="\n"), printable("ab\u202e\u200b")
    ('\\x1b[31mred\\n', 'two\nlines', 'ab\\u202e\\u200b')
    """
    if text.isprintable() and not _WITHOUT_WIDTH.search(text):
        return text
    return "".join(one if one in keep or _is_seen(one) else one.encode("unicode_escape").decode() for one in text)


def _is_seen(character: str) -> bool:
    return character.isprintable() and not _WITHOUT_WIDTH.match(character)


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


@dataclass(frozen=True, slots=True, repr=False)
class Later:
    """A hint that is found when it is asked for: of thousands of problems most are never shown."""

    find: Callable[[], str]

    def __call__(self) -> str:
        return self.find()


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """A hint that names the nearest known names but `name` itself, or lists them all when nothing is near."""
    name = str(name)
    if len(name) > MAX_QUOTED:
        return ""
    choices = sorted({printable(str(one)) for one in islice(known, MAX_CHOICES)} - {name})
    lower = {choice.lower(): choice for choice in reversed(choices)}
    near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=2, cutoff=0.6)]
    if near:
        return "did you mean " + " or ".join(f"`{choice}`" for choice in near) + "?"
    if 0 < len(choices) <= 20:
        return "known: " + ", ".join(f"`{choice}`" for choice in choices)
    return ""
