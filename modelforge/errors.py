"""What a user is told: problems with a place, collected per phase and raised together as one `ForgeError`.

Inner code states the fact, the phase adds the path, and `Origins` (see `modelforge.config`) adds the place.
Codes are stable; `CODES` says in one line what each of them means.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

CODES = MappingProxyType(
    {
        "MF001": "the configuration cannot be composed",
        "MF002": "a file cannot be read as YAML",
        "MF003": "an interpolation cannot be resolved",
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
        "MF030": "unknown input",
        "MF031": "an input that comes later",
        "MF032": "wrong number of inputs",
        "MF040": "a shape that does not fit",
        "MF041": "the layer's constructor refuses its arguments",
        "MF042": "an argument contradicts the shape that arrives",
        "MF043": "the layer cannot run on what arrives",
        "MF044": "the batch dimension is lost",
        "MF045": "parameters that cannot be tied",
        "MF050": "model and data do not fit",
        "MF051": "wrong training settings",
        "MF052": "training diverged",
        "MF053": "data that cannot be used",
        "MF058": "a file of a run cannot be written",
        "MF060": "too large",
        "MF070": "the two sides of a diff cannot be read",
        "MF071": "a folder that holds no runs",
        "MF072": "a folder in which no project can be made",
        "MF080": "nothing has this name",
        "MF081": "a plugin that cannot be imported",
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
        "MW201": "data that is left out",
        "MW210": "the best epoch of a resumed run is lost",
        "MW211": "a scheduler that does not get to its end",
    }
)

Severity = Literal["error", "warning"]


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
    """The problem as text with its source line, in the form compilers use."""
    lines = [f"{problem.severity}[{problem.code}]: {problem.message}"]
    place = problem.place
    if place is None:
        lines.append(f"  --> {problem.path}")
        if problem.hint:
            lines.append(f"   = help: {problem.hint}")
        return "\n".join(lines)
    lines += _render_place(place, problem.hint)
    if place.via is not None:
        lines += ["   = the value comes from", *_render_place(place.via, "")]
    if problem.path and place.override is None:
        lines.append(f"   = override key: {problem.path}")
    return "\n".join(lines)


def _render_place(place: Place, hint: str) -> list[str]:
    if place.override is not None:
        lines = [f"  --> override {place.override}"]
        return lines + ([f"   = help: {hint}"] if hint else [])
    if not place.source:
        return [f"  --> {place}"] + ([f"   = help: {hint}"] if hint else [])
    number = str(place.line)
    gutter = " " * len(number)
    caret = " " * (place.column - 1) + "^" * max(place.length, 1)
    first_hint, *more_hints = hint.splitlines() or [""]
    marked = f"{caret} {first_hint}".rstrip()
    return [
        f"{gutter} --> {place}",
        f"{gutter}  |",
        f"{number}  | {place.source.rstrip()}",
        f"{gutter}  | {marked}",
        *(f"{gutter}  = help: {line}" for line in more_hints),
    ]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known names, or lists them all when nothing is near."""
    choices = sorted(set(known))
    lower = {choice.lower(): choice for choice in reversed(choices)}
    near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=2, cutoff=0.6)]
    if near:
        return "did you mean " + " or ".join(f"`{choice}`" for choice in near) + "?"
    if 0 < len(choices) <= 20:
        return "known: " + ", ".join(f"`{choice}`" for choice in choices)
    return ""
