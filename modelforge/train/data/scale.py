"""Numbers of examples → float32 on the scale of the training part, with what would be lost and what is constant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import fault
from modelforge.train.data.store import Memory

MAX_SHOWN = 5
"""Constant columns that are named."""
ROUNDING = 16 * np.finfo(np.float64).eps
"""The relative difference up to which values count as constant."""
MAX_SAMPLE = 1000
"""Rows of which values that become equal are counted."""


@dataclass(frozen=True)
class Numbers:
    """One example a row."""

    values: Array
    names: tuple[str, ...] | str
    """The names of the columns, or of the one array."""
    key: str = "features"
    """The key of the section that names them."""
    place: Callable[[int], str] = lambda row: f"row {row + 1}"
    """A row in words."""

    def called(self, place: int) -> str:
        """The name of the `place`-th number of an example, in words."""
        return f"array `{self.names}`" if isinstance(self.names, str) else f"column `{self.names[place]}`"


@dataclass(frozen=True)
class Scale:
    """Subtracts a mean and divides by a std; constants become zero."""

    mean: Array
    std: Array

    @classmethod
    def of(cls, values: Array) -> Scale:
        """The scale of each number of an example, over these examples.

        scikit-learn's `StandardScaler` gives the same, but takes seconds to import, and overflows from 1e154 on.
        """
        low, high = values.min(0), values.max(0)
        size = np.maximum(np.abs(low), np.abs(high))
        # squares of what is larger or smaller are not in float64's range
        unit = np.where((size > 0) & ((size > 1e150) | (size < 1e-150)), size, 1.0)
        values = values / unit if (unit != 1).any() else values
        mean, std = values.mean(0) * unit, values.std(0) * unit
        fixed = are_equal(low / unit, high / unit)
        return cls(np.where(fixed, low, mean), np.where(fixed, 1.0, std))

    @classmethod
    def identity(cls, shape: tuple[int, ...]) -> Scale:
        """The scale that leaves everything as it is."""
        return cls(np.zeros(shape), np.ones(shape))

    @classmethod
    def restored(cls, described: Mapping[str, Any]) -> Scale | None:
        """The scale as `described` wrote it; None where nothing was scaled."""
        if described["mean"] is None:
            return None
        return cls(np.asarray(described["mean"]), np.asarray(described["std"]))

    def __call__(self, values: Array) -> Array:
        """The values on this scale."""
        return (values - self.mean) / self.std


def as_float32(values: Array, scale: Scale | None) -> Array:
    """Numbers as the model takes them: at training time and for new data."""
    values = values.astype(np.float64, copy=False)
    with np.errstate(over="ignore", under="ignore"):
        return (scale(values) if scale else values).astype(np.float32)


@dataclass(frozen=True)
class Scaled:
    """Numbers of the three parts as float32."""

    names: tuple[str, ...] | str
    key: str
    parts: tuple[Array, ...]
    scale: Scale | None
    constant: tuple[int, ...]
    """The numbers of an example that are the same in the whole training part."""

    def described(self) -> dict[str, Any]:
        """Names, mean and std as plain data; null where nothing was scaled."""
        described: dict[str, Any] = {"names": self.names, "mean": None, "std": None}
        scale = self.scale
        return described | ({"mean": scale.mean.tolist(), "std": scale.std.tolist()} if scale else {})


def scaled(numbers: Numbers, parts: Sequence[Rows], *, standardize: bool) -> tuple[Scaled, list[Problem]]:
    """The numbers of each part, on the scale of the first; and what float32 would lose."""
    values = numbers.values.astype(np.float64, copy=False)
    train = values[parts[0]]
    scale = Scale.of(train) if standardize else None
    found = [as_float32(train, scale), *(as_float32(values[part], scale) for part in parts[1:])]
    fixed = tuple(map(int, np.flatnonzero(is_constant(train))))
    problems = [*_infinite(numbers, found, parts, scale)] or [*_merged(numbers, train, found[0], parts[0], scale)]
    return Scaled(numbers.names, numbers.key, tuple(found), scale, fixed), problems


def side_by_side(blocks: Sequence[Scaled], store: Memory) -> Scaled:
    """Columns of several blocks as one block in a store."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    starts = np.cumsum([0, *(len(block.names) for block in blocks)])
    scales = [block.scale for block in blocks if block.scale is not None]
    scale = None
    if len(scales) == len(blocks):
        scale = Scale(*(np.concatenate([getattr(one, name) for one in scales]) for name in ("mean", "std")))
    return Scaled(
        tuple(name for block in blocks for name in block.names),
        first.key,
        tuple(store.side_by_side(arrays) for arrays in zip(*(block.parts for block in blocks), strict=True)),
        scale,
        tuple(int(start) + place for start, block in zip(starts, blocks, strict=False) for place in block.constant),
    )


def constant(numbers: Scaled, named: str) -> Iterator[Problem]:
    """A warning where a column is the same in all rows of the training part."""
    places = numbers.constant
    if not places:
        return
    if isinstance(numbers.names, str):
        size = int(np.prod(numbers.parts[0].shape[1:]))
        what = f"{len(places):,} of the {plural(size, 'number')} of an example"
    else:
        columns = listed([numbers.names[place] for place in places], MAX_SHOWN, quote="`")
        what = f"{plural(len(places), 'column')}, {columns},"
    message = f"{what} of {named} {'has' if len(places) == 1 else 'have'} the same value in all training examples"
    hint = "nothing can be learnt from what never differs; beyond 14 digits, differences are rounding"
    yield Problem("MW203", f"data.{numbers.key}", message, hint, severity="warning")


def is_constant(values: Array) -> Array:
    """Whether each number of an example is the same in all, up to rounding."""
    return are_equal(values.min(0), values.max(0))


def are_equal(low: Array, high: Array) -> Array:
    """Whether numbers differ by rounding alone."""
    with np.errstate(over="ignore"):
        return high - low <= ROUNDING * np.maximum(np.abs(low), np.abs(high))


def _infinite(
    numbers: Numbers, scaled: Sequence[Array], parts: Sequence[Rows], scale: Scale | None
) -> Iterator[Problem]:
    """The first number that float32 does not hold."""
    for array, rows in zip(scaled, parts, strict=True):
        flat = array.reshape(len(array), -1)
        if not np.isfinite(flat).all():
            place, column = np.argwhere(~np.isfinite(flat))[0]
            row = int(rows[place])
            value = numbers.values[row].reshape(-1)[column]
            message = f"{numbers.called(column)} has {value:g} in {numbers.place(row)}"
            hint = "leave the row out" if scale else "leave the row out, or write `data.standardize=true`"
            yield fault(numbers.key, f"{message}, which is more than float32 holds", hint)
            return


def _merged(numbers: Numbers, values: Array, scaled: Array, rows: Rows, scale: Scale | None) -> Iterator[Problem]:
    """The first number of an example of which at least half of the clearly distinct neighbours became equal."""
    if not len(rows) or not values[0].size:
        return
    step = -(-len(rows) // max(2, min(MAX_SAMPLE, 4_000_000 // values[0].size)))
    before, after = (np.sort(it[::step].reshape(len(it[::step]), -1), axis=0) for it in (values, scaled))
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.diff(before, axis=0) > 1e-6 * np.maximum(np.abs(before[1:]), np.abs(before[:-1]))
        equal = apart & ~(np.diff(after, axis=0) > 0)
    merged = np.flatnonzero(equal.any(0) & (2 * equal.sum(0) >= apart.sum(0)))
    if len(merged):
        column = values.reshape(len(values), -1)[:, merged[0]]
        place = int(np.argmax(np.abs(column)))
        message = f"{numbers.called(merged[0])} has {column[place]:g} in {numbers.place(int(rows[place]))}"
        if scale:
            message = f"{message}, so large that most of its other values become equal once standardised"
            yield fault(numbers.key, message, "leave the row out, or take logarithms")
        else:
            message = f"{message}, and values so small that float32 holds most of them as 0"
            yield fault(numbers.key, message, "write `data.standardize=true`")
