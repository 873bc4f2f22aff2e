"""`Feature`: one column as numbers, by what was fitted on the training part. All of it is plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from modelforge.core.errors import Problem
from modelforge.core.words import plural
from modelforge.train.data.arrow import (
    Values,
    as_numpy,
    as_times,
    instants,
    list_of,
    numbers,
    pc,
    places,
    rows_of,
    texts,
)
from modelforge.train.data.columns import ISO, STATISTICS, Fill, Kind
from modelforge.train.data.labels import ordered
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import fault, refusal

MAX_SHOWN = 3
"""Wrong values of a column that are shown."""
MAX_LOOKED_AT = 1_000
"""Wrong values among which different ones are looked for."""
PARTS_OF_DATES = {
    "year": pc.year,
    "month": pc.month,
    "day": pc.day,
    "weekday": pc.day_of_week,
    "yearday": pc.day_of_year,
    "hour": pc.hour,
    "minute": pc.minute,
}
"""Numbers of the calendar; `weekday` counts from 0 for Monday."""
ELAPSED = "elapsed"
"""Days since the beginning of 1970."""


@dataclass(frozen=True)
class Feature:
    """How one column is read, filled in and turned into numbers."""

    name: str
    kind: Kind = "number"
    fill: Fill | None = None
    """What stands for a missing value; null where none may be missing."""
    categories: tuple[str, ...] = ()
    """Those of the training part, in their order."""
    format: str = ISO
    """That of a date."""
    parts: tuple[str, ...] = ()
    """The numbers of a date."""

    @classmethod
    def restored(cls, described: Mapping[str, Any]) -> Feature:
        """The feature that `described` wrote."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else value for name, value in described.items()
        }
        return cls(**fields)

    def described(self) -> dict[str, Any]:
        """The feature as plain data."""
        return asdict(self)

    @property
    def names(self) -> tuple[str, ...]:
        """What its numbers are called."""
        match self.kind:
            case "category":
                return tuple(f"{self.name}={category}" for category in self.categories)
            case "date":
                return tuple(f"{self.name}.{part}" for part in self.parts)
            case _:
                return (self.name,)

    @property
    def what(self) -> str:
        """What its column must hold."""
        return {"number": "numbers", "date": _dates(self.format)}.get(self.kind, "texts")

    def read(self, column: pa.ChunkedArray, missing: Iterable[str], decimal: str) -> Values:
        """The values of its column, not yet filled in."""
        match self.kind:
            case "number":
                return numbers(column, missing, decimal)
            case "date":
                return instants(column, missing, self.format)
            case _:
                return texts(column, missing)

    def filled(self, values: Any) -> Any:
        """Values with none missing; texts may stay null where they are not categories."""
        if self.fill is None:
            return values
        if self.kind in ("category", "ids"):
            return pc.fill_null(values, str(self.fill))
        return np.where(np.isnan(values), self.fill, values)

    def numbers(self, values: Any) -> Array:
        """Its numbers, a row each: the value, one column for each category, or the parts of the date."""
        values = self.filled(values)
        match self.kind:
            case "number":
                return values[:, None]
            case "date":
                return np.stack([_part(values, part) for part in self.parts], axis=1)
            case _:
                found = self.places(values)
                known = np.flatnonzero(found >= 0)
                one_hot = np.zeros((len(found), len(self.categories)))
                one_hot[known, found[known]] = 1
                return one_hot

    def places(self, values: Any) -> Rows:
        """The place of each text among the categories, -1 for another."""
        return places(self.filled(values), self.categories)


def fitted(feature: Feature, values: Any, train: Rows, fill: Fill) -> Feature:
    """The feature as the training part determines it.

    Args:
        feature: What was declared.
        values: Its column, as `Feature.read` gives it.
        train: The rows of the training part.
        fill: `error`, `drop`, the name of a statistic, or a constant.

    Raises:
        ForgeError: there is nothing to fill in.
    """
    if feature.kind in ("category", "ids"):
        known = values.take(rows_of(train))
        feature = replace(feature, fill=_fill_of_texts(known, fill))
        names = pc.unique(feature.filled(known)).to_pylist()
        feature = replace(feature, categories=tuple(ordered(name for name in names if name is not None)))
    else:
        feature = replace(feature, fill=_fill_of_numbers(feature, values[train], fill))
    if feature.fill is None and fill in STATISTICS:
        message = f"column `{feature.name}` has no value in any row to train on, so that it has no {fill}"
        raise refusal("impute", message, "leave it out, or declare a constant")
    return feature


def _fill_of_texts(known: pa.ChunkedArray, fill: Fill) -> str | None:
    if fill in ("error", "drop"):
        return None
    if fill != "most_frequent":
        return str(fill)
    counts = {pair["values"]: pair["counts"] for pair in pc.value_counts(pc.drop_null(known)).to_pylist()}
    return min(counts, key=lambda text: (-counts[text], text), default=None)


def _fill_of_numbers(feature: Feature, known: Array, fill: Fill) -> float | None:
    if fill in ("error", "drop"):
        return None
    there = known[~np.isnan(known)]
    if fill in STATISTICS and not len(there):
        return None
    match fill:
        case "mean":
            return float(there.mean())
        case "median":
            return float(np.median(there))
        case "most_frequent":
            different, counts = np.unique(there, return_counts=True)
            return float(different[counts.argmax()])
        case str():
            return _instant(feature, fill)
        case _:
            return float(fill)


def _instant(feature: Feature, text: str) -> float:
    found = instants(pa.chunked_array([list_of([text])]), (), feature.format)
    if len(found.wrong):
        raise refusal("impute", f"`{feature.name}` holds {feature.what}, but the constant {text!r} is of another kind")
    return float(found.values[0])


def _part(days: Array, part: str) -> Array:
    """One number of each instant; NaN where there is none."""
    if part == ELAPSED:
        return days
    there = ~np.isnan(days)
    found = np.full(len(days), np.nan)
    found[there] = as_numpy(PARTS_OF_DATES[part](as_times(days[there])))
    return found


def _dates(form: str) -> str:
    return "dates such as 2026-01-31" if form == ISO else f"dates of the form {form}"


def problems(
    feature: Feature, values: Values, column: pa.ChunkedArray, key: str, place: Callable[[int], str]
) -> Iterator[Problem]:
    """What stands in a column that cannot be read: the first few values, then their number.

    Args:
        feature: What the column is to be.
        values: What was read.
        column: The column as it is written.
        key: The key of the section that names it.
        place: A row in words.
    """
    if not len(values.wrong):
        return
    first = dict[str, int]()
    for row in values.wrong[:MAX_LOOKED_AT]:
        first.setdefault(f"{column[int(row)].as_py()!r:.100}", int(row))
    shown = [f"{value} in {place(row)}" for value, row in [*first.items()][:MAX_SHOWN]]
    more = len(values.wrong) - len(shown)
    rest = f" and {plural(more, 'more row')}" if more else ""
    message = f"column `{feature.name}` must hold {feature.what}, but has {', '.join(shown)}{rest}"
    yield fault(key, message, "write it as a number, or leave the row out" if feature.kind == "number" else "")
