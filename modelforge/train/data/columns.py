"""`ColumnSource`: tables with named columns, of which some are features and some the target."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, PositiveInt, model_validator

from modelforge.errors import ForgeError, Problem, did_you_mean
from modelforge.train.data.parts import Array, Examples
from modelforge.train.data.refusals import fault, undeclared
from modelforge.train.data.source import AsTuple, mistake
from modelforge.train.data.table import Table, examples

Columns = Mapping[str, Sequence[Any]]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda raw: (raw,) if isinstance(raw, str) else raw), AsTuple]
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""How tables write that a value is not known."""


class ColumnSource(Table):
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
        problems: list[Problem] = []
        if len(features) != self.num_features:
            problems.append(undeclared("num_features", "feature", len(features), self.num_features, named))
        inputs = _numbers(columns, features, problems)
        targets = None if self.task == "autoencoding" else self._targets(columns, problems)
        if problems:
            raise ForgeError(problems)
        return examples(self, inputs, targets, named)

    def _choose(self, columns: Columns, named: str) -> tuple[str, ...]:
        """The names of the features, once all names are known."""
        keys = {"target": self.target, "features": self.features or (), "ignore": self.ignore}
        problems = [
            fault(key, f"{named} has no column `{name}`", did_you_mean(name, columns))
            for key, names in keys.items()
            for name in names
            if name not in columns
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
        return tuple(name for name in columns if name not in {*self.target, *self.ignore})

    def _targets(self, columns: Columns, problems: list[Problem]) -> Array:
        if self.task == "regression":
            return _numbers(columns, self.target, problems, "target")
        (name,) = self.target
        values = columns[name]
        if (row := next((row for row, value in enumerate(values) if _is_missing(value)), None)) is not None:
            problems.append(fault("target", f"row {row + 1} of column `{name}` says no class", "leave the row out"))
        return np.asarray(values)


def _numbers(columns: Columns, names: Iterable[str], problems: list[Problem], key: str = "features") -> Array:
    """Those columns side by side, as far as they are numbers; what is none is noted."""
    arrays = []
    for name in names:
        values = columns[name]
        try:
            array = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            problems.append(_not_numeric(name, values, key))
            continue
        if array.ndim != 1 or not np.isfinite(array).all():
            problems.append(_not_numeric(name, values, key))
        arrays.append(array)
    return np.stack(arrays, axis=1) if arrays and not problems else np.zeros((0, len(arrays)))


def _not_numeric(name: str, values: Sequence[Any], key: str) -> Problem:
    row, value = next((row, value) for row, value in enumerate(values) if not _is_number(value))
    what = "no value" if _is_missing(value) else repr(value)
    message = f"column `{name}` must hold numbers, but has {what} in row {row + 1}"
    if _is_missing(value):
        return fault(key, message, "fill such values in, or leave the row out")
    return fault(key, message, f"leave it out: `data.ignore=[{name}]`" if key == "features" else "")


def _is_number(value: Any) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except (TypeError, ValueError):
        return False


def _is_missing(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in MISSING)
