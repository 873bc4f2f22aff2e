"""What a user is told: problems with a place, collected per phase and raised together as one `ForgeError`.

Inner code states the fact, the phase adds the path, and `Origins` (see `modelforge.config`) adds the place.
Codes are stable; `CODES` says in one line what each of them means.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

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
        "MF065": "a parameter that is not as its ledger says",
        "MF066": "a ledger that cannot be read",
        "MF067": "a parameter that only the ledger has, or only the model",
        "MF068": "a run that cannot be built again",
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
        "MF117": "a tensor of a file that cannot be split or turned",
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
        "MW105": "a layer that makes no finite values of negative ones",
        "MW106": "predictions that depend on the rest of their batch",
        "MW107": "a layer that a scheme cannot see into",
        "MW108": "a rule for ends of branches that fills none",
        "MW109": "an init rule without effect",
        "MW201": "data that is left out",
        "MW202": "a class that is missing from a part of the data",
        "MW210": "the best epoch of a resumed run is lost",
        "MW220": "a setting without effect on this run",
    }
)

Severity = Literal["error", "warning"]

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
            return f"override {self.override}"
        return f"{self.file}:{self.line}:{self.column}" if self.column else f"{self.file}:{self.line}"

    def to_dict(self) -> dict[str, Any]:
        """The place as plain data; absent parts are left out."""
        if self.override is not None:
            data: dict[str, Any] = {"override": self.override}
        else:
            data = {"file": self.file, "line": self.line, "column": self.column, "source": self.source}
        return data | ({"via": self.via.to_dict()} if self.via else {})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `path` is the override key, `part` says whether its key or its value is to blame."""

    code: str
    path: str
    message: str
    hint: str = ""
    place: Place | None = None
    part: Literal["key", "value"] = "value"
    severity: Severity = "error"

    def at(self, place: Place | None) -> Problem:
        """The same problem with its place filled in."""
        return replace(self, place=place)

    def to_dict(self) -> dict[str, Any]:
        """The problem as plain data, as `--json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
            "place": self.place.to_dict() if self.place else None,
        }

    def __str__(self) -> str:
        return render(self)


class ForgeError(Exception):
    """A user's mistake; `problems` holds all that one phase found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        assert self.problems, "a ForgeError needs at least one problem"
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n\n".join(render(problem) for problem in self.problems)


def render(problem: Problem) -> str:
    """The problem as text with its source line, in the form compilers use; each part of it is `printable`."""
    lines = [f"{problem.severity}[{problem.code}]: {printable(problem.message)}"]
    place, path = problem.place, printable(problem.path)
    if place is None:
        return "\n".join([*lines, f"  --> {path}", *_help("   ", problem.hint.split("\n"))])
    lines += _render_place(place, problem.hint)
    if place.via is not None:
        lines += ["   = the value comes from", *_render_place(place.via, "")]
    if path and place.override is None:
        lines.append(f"   = override key: {path}")
    return "\n".join(lines)


def _render_place(place: Place, hint: str) -> list[str]:
    first_hint, *more_hints = hint.split("\n")
    if place.override is not None or not place.source:
        return [f"  --> {printable(str(place))}", *_help("   ", [first_hint, *more_hints])]
    number = str(place.line)
    gutter = " " * len(number)
    # Carets stay below what they mark where escapes take more room.
    start, end = place.column - 1, place.column - 1 + max(place.length, 1)
    source = place.source.rstrip()
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


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known names but `name` itself, or lists them all when nothing is near."""
    choices = sorted(set(map(printable, known)) - {name})
    lower = {choice.lower(): choice for choice in reversed(choices)}
    near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=2, cutoff=0.6)]
    if near:
        return "did you mean " + " or ".join(f"`{choice}`" for choice in near) + "?"
    if 0 < len(choices) <= 20:
        return "known: " + ", ".join(f"`{choice}`" for choice in choices)
    return ""
