"""`ColumnSource`: tables with named columns, of which some are features and some the target."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, PositiveInt, model_validator

from modelforge.errors import ForgeError, Problem, did_you_mean
from modelforge.train.data.alike import look_alikes, seen
from modelforge.train.data.parts import Array, Examples
from modelforge.train.data.refusals import fault, refusal, undeclared
from modelforge.train.data.source import AsTuple, Bounded, mistake
from modelforge.train.data.table import Numbers, Table, examples

Columns = Mapping[str, Sequence[Any]]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda raw: (raw,) if isinstance(raw, str) else raw), AsTuple]
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""How tables write that a value is not known."""
MAX_SHOWN = 20
"""Columns of which each is told what is wrong with it."""


class ColumnSource(Bounded, Table):
    """Numeric columns as features, and a column of classes, or one or more of numbers, as target."""

    reads: ClassVar = "path"

    path: str | None = None
    """Where the table lies, from the folder that the run starts in."""
    target: Names = ()
    """The column, or for a regression the columns, to tell."""
    features: Names | None = None
    """The columns to tell it from; null for all others."""
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
        if self.task == "classification" and len(self.target) > 1:
            raise mistake("target", f"a class is one column, but `target` names {len(self.target)}")
        return self

    @abstractmethod
    def columns(self) -> Columns:
        """Every column by name, all of one length."""

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        columns = self.columns()
        named = f"`{self.path}`"
        features = self._choose(columns, named)
        if not features:
            key = "target" if self.features is None else "features"
            raise refusal(key, f"no column of {named} is left to predict from", "name one that is not the target")
        if not len(columns[features[0]]):
            raise refusal("path", f"{named} has no rows")
        problems: list[Problem] = []
        if len(features) != self.num_features:
            problems.append(undeclared("num_features", "feature", len(features), self.num_features, named))
        inputs = self._numbers(columns, features, problems)
        targets = None if self.task == "autoencoding" else self._targets(columns, problems)
        if problems:
            raise ForgeError(problems)
        warnings = look_alikes(columns, "columns", named, "path")
        return examples(self, Numbers(inputs, features), targets, named, warnings)

    def _choose(self, columns: Columns, named: str) -> tuple[str, ...]:
        """The names of the features, once all names are known."""
        keys = {"target": self.target, "features": self.features or (), "ignore": self.ignore}
        problems = [
            _unknown(key, name, columns, named) for key, names in keys.items() for name in names if name not in columns
        ]
        if not self.target and self.task != "autoencoding":
            message = f"{self.task} needs a target, but `target` names no column"
            problems.append(fault("target", message, did_you_mean("", columns)))
        if both := [name for name in self.features or () if name in self.target]:
            problems.append(fault("features", f"`{both[0]}` is the target, and cannot be a feature"))
        if problems:
            raise ForgeError(problems)
        if self.features is not None:
            return self.features
        others = {*self.target, *self.ignore}
        return tuple(name for name in columns if name not in others)

    def _targets(self, columns: Columns, problems: list[Problem]) -> Numbers | list[Any]:
        if self.task == "regression":
            return Numbers(self._numbers(columns, self.target, problems, "target"), self.target, "target")
        (name,) = self.target
        values = columns[name]
        if (row := next((row for row, value in enumerate(values) if self._is_missing(value)), None)) is not None:
            message = f"row {row + 1} of column `{name}` says no class"
            hint = "leave the row out"
            if isinstance(values[row], str) and values[row].strip():
                message += f": it has {values[row]!r}"
                hint += """; if it is the name of a class: `'data.missing=[""]'`"""
            problems.append(fault("target", message, hint))
        return list(values)

    def _numbers(self, columns: Columns, names: Iterable[str], problems: list[Problem], key: str = "features") -> Array:
        """Those columns side by side, as far as they are numbers; what is none is noted."""
        arrays, wrong = list[Array](), list[str]()
        for name in names:
            array = _as_numbers(columns[name])
            if array is None:
                wrong.append(name)
            else:
                arrays.append(array)
        problems += [self._not_numeric(name, columns[name], key) for name in wrong[:MAX_SHOWN]]
        if more := len(wrong[MAX_SHOWN:]):
            problems.append(fault(key, f"{more:,} more of these columns hold what is no number"))
        return np.zeros((0, 0)) if wrong else np.stack(arrays, axis=1)

    def _not_numeric(self, name: str, values: Sequence[Any], key: str) -> Problem:
        row, value = next((row, value) for row, value in enumerate(values) if _as_numbers([value]) is None)
        what = "no value" if self._is_missing(value) else f"{value!r:.100}"
        message = f"column `{name}` must hold numbers, but has {what} in row {row + 1}"
        if self._is_missing(value):
            return fault(key, message, "fill such values in, or leave the row out")
        return fault(key, message, f"leave it out: `data.ignore=[{name}]`" if key == "features" else "")

    def _is_missing(self, value: Any) -> bool:
        if isinstance(value, str):
            return value.strip().lower() in map(str.lower, self.missing)
        return value is None or (isinstance(value, float) and value != value)


def _unknown(key: str, name: str, columns: Columns, named: str) -> Problem:
    """A name that no column has; one that looks equal is shown with what is not seen."""
    twin = next((column for column in columns if seen(column) == seen(name)), None)
    if twin is None:
        return fault(key, f"{named} has no column `{name}`", did_you_mean(name, columns))
    message = f"{named} has no column {name!a}; its column {twin!a} looks equal, but is not"
    return fault(key, message, "copy the name from the file, or write it in the file as here")


def _as_numbers(values: Sequence[Any]) -> Array | None:
    """A column as finite numbers, None where one of them is none."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return array if array.ndim == 1 and np.isfinite(array).all() and _are_plain(values) else None


def _are_plain(values: Sequence[Any]) -> bool:
    """Whether tools for data read these as the numbers that Python does: not so `1_000`, digits of other scripts, bytes
    and times."""
    try:
        text = "".join(values)
    except TypeError:
        return not any(isinstance(value, str | bytes | np.datetime64 | np.timedelta64) for value in values)
    return text.isascii() and "_" not in text
