"""`ColumnSource`: tables with named columns, of which some are features and some the target."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, PositiveInt, model_validator

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import AsTuple, FrozenDict
from modelforge.core.quoting import listed
from modelforge.core.suggestions import did_you_mean
from modelforge.train.data.alike import look_alikes, seen
from modelforge.train.data.parts import Array, Examples
from modelforge.train.data.refusals import fault, refusal, setting, settings, together, undeclared
from modelforge.train.data.source import Bounded, mistake
from modelforge.train.data.table import Numbers, Table, examples
from modelforge.train.tasks.registry import parse_task, tasks_for

Columns = Mapping[str, Sequence[Any]]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda raw: (raw,) if isinstance(raw, str) else raw), AsTuple]
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""How tables write a missing value."""
MAX_SHOWN = 20
"""Columns that have a problem each."""
MAX_LOOKED_AT = 1_000
"""Values by which a column counts as text."""


class ColumnSource(Bounded, Table):
    """Numeric columns as features, and a column of classes, or one or more of numbers, as target."""

    reads: ClassVar = "path"

    path: str | None = None
    """The file, relative to the folder in which the run starts."""
    target: Names = ()
    """The column, or for a regression the columns, to predict."""
    features: Names | None = None
    """The columns to predict it from; null for all others."""
    ignore: Names = ()
    """Columns that are neither."""
    missing: Names = MISSING
    """Texts that stand for no value, in small or large letters. For classes called None or NA: `[""]`."""
    num_features: PositiveInt
    """How many features there are."""

    @model_validator(mode="after")
    def _check_columns(self) -> ColumnSource:
        if self.input.shape != (self.num_features,):
            raise mistake("input.shape", f"a row has {self.num_features} features, but `shape` is {self.input.shape}")
        if self.target_kind == "class" and len(self.target) > 1:
            raise mistake("target", f"a class is one column, but `target` names {len(self.target)}")
        return self

    @abstractmethod
    def columns(self) -> Columns:
        """Every column by name, all of one length."""

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        return self._read(self.columns())

    def _read(self, columns: Columns) -> Examples:
        named = f"`{self.path}`"
        features = self._choose(columns, named)
        if not features:
            key = "target" if self.features is None else "features"
            raise refusal(key, f"no column of {named} is left to predict from", "name one that is not the target")
        if not len(columns[features[0]]):
            raise refusal("path", f"{named} has no rows")
        inputs, problems = self._inputs(columns, features, named)
        targets, wrong = (None, []) if self.target_kind == "input" else self._targets(columns)
        if wrong:
            raise ForgeError(together([*problems, *wrong]))
        found = [*problems, *look_alikes(columns, "columns", named, "path")]
        try:
            return examples(self, Numbers(inputs, features), targets, named, found)
        except ForgeError as error:
            raise ForgeError(self._with_regression(error.problems, columns)) from None

    def _choose(self, columns: Columns, named: str) -> tuple[str, ...]:
        """The names of the features, after all names are checked."""
        keys = {"target": self.target, "features": self.features or (), "ignore": self.ignore}
        problems = [
            _unknown(key, name, columns, named) for key, names in keys.items() for name in names if name not in columns
        ]
        if not self.target and self.target_kind != "input":
            message = f"{self.task.type} needs a target, but `target` names no column"
            hint = did_you_mean("", columns)
            if not problems and (guess := next((name for name in reversed([*columns]) if name not in self.ignore), "")):
                hint = f"{hint}{hint and '; '}for `{guess}`: `{' '.join(self._settings(columns, guess))}`"
            problems.append(fault("target", message, hint))
        if both := [name for name in self.features or () if name in self.target]:
            problems.append(fault("features", f"`{both[0]}` is the target, and cannot be a feature"))
        for key, names in keys.items():
            if twice := [name for name, number in Counter(names).items() if number > 1]:
                problems.append(fault(key, f"`{key}` names `{twice[0]}` twice", "once is enough"))
        if used := [name for name in self.ignore if name in (*self.target, *(self.features or ()))]:
            problems.append(fault("ignore", f"`{used[0]}` is to be ignored, and is a feature or the target"))
        if problems:
            raise ForgeError(problems)
        if self.features is not None:
            return self.features
        others = {*self.target, *self.ignore}
        return tuple(name for name in columns if name not in others)

    def all_settings(self) -> list[str]:
        """The settings with which the table can be read; the last column counts as the target where none is named."""
        try:
            columns = self.columns()
        except ForgeError:
            return []
        known = [name for name in self.target if name in columns]
        return self._settings(columns, known[0] if known else [*columns][-1])

    def _settings(self, columns: Columns, target: str) -> list[str]:
        """The settings with that column as the target: a class, or a number where it looks like a quantity."""
        task = parse_task(tasks_for(["number"])[0]) if _is_quantity(columns[target]) else self.task
        lines = [setting("target", target)] + ([setting("task", task.type)] if task != self.task else [])
        try:
            self.model_copy(update={"target": (target,), "task": task})._read(columns)
        except ForgeError as error:
            lines += [line for line in settings(error.problems) if line not in lines]
        return lines

    def _with_regression(self, problems: Sequence[Problem], columns: Columns) -> list[Problem]:
        """The problems; where another number of classes is declared and they look measured, with a further hint."""
        if self.target_kind != "class" or not _is_quantity(columns[self.target[0]]):
            return [*problems]
        hint = f"to predict a number: `{' '.join(self._settings(columns, self.target[0]))}`"
        return [
            replace(problem, hint=f"{problem.hint}; {hint}") if problem.path == "data.num_outputs" else problem
            for problem in problems
        ]

    def _targets(self, columns: Columns) -> tuple[Numbers | list[Any], list[Problem]]:
        """The targets, and their problems."""
        if self.target_kind == "number":
            values, wrong = numbers(columns, self.target)
            return Numbers(values, self.target, "target"), self._not_numeric(columns, wrong, "target")
        (name,) = self.target
        values = columns[name]
        row = next((row for row, value in enumerate(values) if self._is_missing(value)), None)
        if row is None:
            return list(values), []
        message, hint = f"row {row + 1} of column `{name}` has no class", "leave the row out"
        if isinstance(values[row], str) and values[row].strip():
            message += f": it has {values[row]!r}"
            hint += """; if it is the name of a class: `'data.missing=[""]'`"""
        return [], [fault("target", message, hint)]

    def _inputs(self, columns: Columns, features: tuple[str, ...], named: str) -> tuple[Array, list[Problem]]:
        """The features, and their problems; columns of text do not count, if others are left."""
        inputs, wrong = numbers(columns, features)
        texts = [name for name in wrong if self._is_text(columns[name])] if len(wrong) <= MAX_SHOWN else []
        kept = [name for name in features if name not in texts]
        hint = ""
        if texts and kept:
            way = setting("ignore", [*self.ignore, *texts]) if self.features is None else setting("features", kept)
            hint = f"leave it out: `{way}`"
            named += f" without {listed(texts, MAX_SHOWN, quote='`')}"
        hints = dict.fromkeys(texts, hint)
        problems = self._not_numeric(columns, wrong, "features", hints)
        if (number := len(kept if hint else features)) != self.num_features:
            problems.insert(0, undeclared("num_features", "feature", number, self.num_features, named))
        return inputs, problems

    def _not_numeric(
        self, columns: Columns, wrong: Sequence[str], key: str, hints: Mapping[str, str] = FrozenDict()
    ) -> list[Problem]:
        """Problems of columns that hold other values than numbers: the first few, then their number."""
        problems = list[Problem]()
        for name in wrong[:MAX_SHOWN]:
            row, value = next((row, one) for row, one in enumerate(columns[name]) if _as_numbers([one]) is None)
            what, way = f"{value!r:.100}", "write it as a number, or leave the row out"
            if self._is_missing(value):
                what, way = "no value", "fill such values in, or leave the row out"
            message = f"column `{name}` must hold numbers, but has {what} in row {row + 1}"
            problems.append(fault(key, message, hints.get(name, way)))
        if more := len(wrong) - len(problems):
            problems.append(fault(key, f"{more:,} more of these columns hold what is no number"))
        return problems

    def _is_text(self, values: Sequence[Any]) -> bool:
        """Whether most of a column is neither a number nor missing."""
        sample = values[:MAX_LOOKED_AT]
        return 2 * sum(_as_numbers([value]) is None and not self._is_missing(value) for value in sample) > len(sample)

    def _is_missing(self, value: Any) -> bool:
        if isinstance(value, str):
            return value.strip().lower() in map(str.lower, self.missing)
        return value is None or (isinstance(value, float) and value != value)


def _unknown(key: str, name: str, columns: Columns, named: str) -> Problem:
    """The problem of a name that no column has; where one looks equal, both are shown with all their characters."""
    twin = next((column for column in columns if seen(column) == seen(name)), None)
    if twin is None:
        return fault(key, f"{named} has no column `{name}`", did_you_mean(name, columns))
    message = f"{named} has no column {name!a}; its column {twin!a} looks equal, but is not"
    return fault(key, message, "copy the name from the file, or write it in the file as here")


def numbers(columns: Columns, names: Sequence[str]) -> tuple[Array, list[str]]:
    """The columns side by side if all are numeric, and the names of those that are not."""
    arrays = {name: _as_numbers(columns[name]) for name in names}
    right = [array for array in arrays.values() if array is not None]
    wrong = [name for name, array in arrays.items() if array is None]
    return (np.zeros((len(columns[names[0]]), 0)) if wrong else np.stack(right, axis=1)), wrong


def _is_quantity(values: Sequence[Any]) -> bool:
    """Whether a column looks measured: it has fractions, or mostly distinct numbers."""
    array = _as_numbers(values)
    return array is not None and bool((array % 1).any() or 2 * len(np.unique(array)) > len(array))


def _as_numbers(values: Sequence[Any]) -> Array | None:
    """A column as finite numbers; None where a value is not one."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return array if array.ndim == 1 and np.isfinite(array).all() and _are_plain(values) else None


def _are_plain(values: Sequence[Any]) -> bool:
    """Whether other tools read these as the same numbers: not `1_000`, digits of other scripts, bytes and times."""
    try:
        text = "".join(values)
    except TypeError:
        return not any(isinstance(value, str | bytes | np.datetime64 | np.timedelta64) for value in values)
    return text.isascii() and "_" not in text
