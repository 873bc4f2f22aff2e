"""`Table`: sources of numbers with a target beside them, once they lie in arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import PositiveInt, model_validator

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.train.data.alike import look_alikes
from modelforge.train.data.labels import Labels, encode
from modelforge.train.data.parts import Array, Arrays, Examples, Rows
from modelforge.train.data.refusals import fault, together, undeclared
from modelforge.train.data.source import SplitSource, check_float32
from modelforge.train.data.split import missing, split

MAX_SHOWN = 5
"""Constant columns that are named."""
ROUNDING = 16 * np.finfo(np.float64).eps
"""The relative difference up to which values count as constant."""
MAX_SAMPLE = 1000
"""Rows of which values that become equal are counted."""


class Table(SplitSource):
    """Numeric features, with a class, other numbers or themselves as the target."""

    target_kinds: ClassVar = ("class", "number", "input")

    num_classes: PositiveInt | None = None
    """Another name of `num_outputs`, for models that ask for it."""
    standardize: bool = True
    """Give every feature, and every target of a regression, mean 0 and standard deviation 1 over the training part."""

    @model_validator(mode="after")
    def _check_dtype(self) -> Table:
        check_float32(self.input, "a table holds numbers")
        return self


@dataclass(frozen=True)
class Numbers:
    """One example a row."""

    values: Array
    names: tuple[str, ...] | str
    """The names of the columns, or of the one array."""
    key: str = "features"
    """The key of the section that names them."""

    def called(self, place: int) -> str:
        """The name of the `place`-th number of an example, in words."""
        return f"array `{self.names}`" if isinstance(self.names, str) else f"column `{self.names[place]}`"


def examples(
    source: Table,
    inputs: Numbers,
    targets: Numbers | Array | list[Any] | None,
    named: str,
    found: Iterable[Problem] = (),
) -> Examples:
    """Splits, encodes and scales what was read.

    Args:
        source: What was declared.
        inputs: The features.
        targets: A label, or `Numbers`, for each; None for an autoencoder.
        named: The data, in words.
        found: Problems and warnings so far.

    Raises:
        ForgeError: the data is not as declared, or too little.
    """
    labels, problems = _labels(source, targets, named)
    found = [*found, *problems, *(look_alikes(labels.names, "classes", named, "target") if labels else ())]
    warnings = [problem for problem in found if problem.severity == "warning"]
    if len(warnings) < len(found):
        raise ForgeError(together(found))
    numeric = targets if isinstance(targets, Numbers) else None
    # Two examples: R² of one is not defined.
    parts = split(source, len(inputs.values), labels and labels.classes, at_least=1 if numeric is None else 2)
    both = [numbers for numbers in (inputs, numeric) if numbers is not None]
    scaled = [_scaled(source, numbers, parts[0], problems) for numbers in both]
    if problems:
        raise ForgeError(problems)
    for numbers in both:
        warnings += _constant(numbers, parts[0], named)
    answers = labels.classes if labels else scaled[-1][0]
    fitted = {"inputs": _described(inputs, scaled[0][1])}
    if numeric is not None:
        fitted["targets"] = _described(numeric, scaled[1][1])
    return Examples.of(
        (Arrays(scaled[0][0][part], answers[part]) for part in parts),
        [*warnings, *(missing(labels.classes, parts, labels.names, named) if labels else ())],
        {"classes": labels.names, **fitted} if labels else fitted,
    )


def _labels(source: Table, targets: Any, named: str) -> tuple[Labels | None, list[Problem]]:
    """The classes, if the targets are classes, and problems of the targets."""
    if source.target_kind == "input":
        return None, []
    if targets is None:
        message = f"{source.task.type} needs a target, but `target` is null"
        return None, [fault("target", message, "write `data.target=...`")]
    if source.target_kind == "class":
        return encode(targets, source.num_outputs, named)
    number = targets.values.shape[1]
    if number != source.num_outputs:
        return None, [undeclared("num_outputs", "target", number, source.num_outputs, named)]
    constant = np.flatnonzero(is_constant(targets.values.astype(np.float64)))
    if len(targets.values) > 1 and len(constant):
        message = f"{targets.called(constant[0])} of {named} has one value: there is nothing to predict"
        return None, [fault("target", message, "leave it out")]
    return None, []


def _scaled(source: Table, numbers: Numbers, train: Rows, problems: list[Problem]) -> tuple[Array, Scale | None]:
    values = numbers.values.astype(np.float64)
    scale = Scale.of(values[train]) if source.standardize else None
    with np.errstate(over="ignore", under="ignore"):
        scaled = (scale(values) if scale else values).astype(np.float32)
    problems += _lost(numbers, values, scaled, train, scale)
    return scaled, scale


def _lost(numbers: Numbers, values: Array, scaled: Array, train: Rows, scale: Scale | None) -> Iterator[Problem]:
    """The first number that float32 does not hold, or rounds to its neighbours."""
    if not len(train) or not values[0].size:
        return
    sample = train[:: -(-len(train) // max(2, min(MAX_SAMPLE, 4_000_000 // values[0].size)))]
    merged = _merged(values[sample], scaled[sample])
    infinite = np.argwhere(~np.isfinite(scaled).reshape(len(scaled), -1))
    if not len(infinite) and not merged.any():
        return
    row, place = infinite[0] if len(infinite) else (-1, int(np.flatnonzero(merged)[0]))
    column = values.reshape(len(values), -1)[:, place]
    row = row if row >= 0 else int(train[np.argmax(np.abs(column[train]))])
    message = f"{numbers.called(place)} has {column[row]:g} in row {row + 1}"
    if len(infinite):
        hint = "leave the row out" if scale else "leave the row out, or write `data.standardize=true`"
        yield fault(numbers.key, f"{message}, which is more than float32 holds", hint)
    elif scale:
        message = f"{message}, so large that most of its other values become equal once standardised"
        yield fault(numbers.key, message, "leave the row out, or take logarithms")
    else:
        message = f"{message}, and values so small that float32 holds most of them as 0"
        yield fault(numbers.key, message, "write `data.standardize=true`")


def _constant(numbers: Numbers, train: Rows, named: str) -> Iterator[Problem]:
    """A warning where a column is the same in all rows of the training part."""
    places = np.flatnonzero(is_constant(numbers.values[train].astype(np.float64)))
    if not len(places):
        return
    if isinstance(numbers.names, str):
        what = f"{len(places):,} of the {plural(numbers.values[0].size, 'number')} of an example"
    else:
        columns = listed([numbers.names[place] for place in places], MAX_SHOWN, quote="`")
        what = f"{plural(len(places), 'column')}, {columns},"
    message = f"{what} of {named} {'has' if len(places) == 1 else 'have'} one value in all examples to train on"
    hint = "nothing can be learnt from what never differs"
    yield Problem("MW203", f"data.{numbers.key}", message, hint, severity="warning")


def is_constant(values: Array) -> Array:
    """Whether each number of an example is the same in all, up to rounding."""
    low, high = values.min(0), values.max(0)
    with np.errstate(over="ignore"):
        return high - low <= ROUNDING * np.maximum(np.abs(low), np.abs(high))


def _merged(values: Array, scaled: Array) -> Array:
    """Whether, for each number of an example, at least half of the clearly distinct neighbours became equal."""
    values, scaled = (np.sort(it.reshape(len(it), -1), axis=0) for it in (values, scaled))
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.diff(values, axis=0) > 1e-6 * np.maximum(np.abs(values[1:]), np.abs(values[:-1]))
        equal = apart & ~(np.diff(scaled, axis=0) > 0)
    return equal.any(0) & (2 * equal.sum(0) >= apart.sum(0))


def _described(numbers: Numbers, scale: Scale | None) -> dict[str, Any]:
    """Names, mean and std as plain data; null where nothing was scaled."""
    described: dict[str, Any] = {"names": numbers.names, "mean": None, "std": None}
    return described | ({"mean": scale.mean.tolist(), "std": scale.std.tolist()} if scale else {})


@dataclass(frozen=True)
class Scale:
    """Subtracts a mean and divides by a std; constants become zero."""

    mean: Array
    std: Array

    @classmethod
    def of(cls, values: Array) -> Scale:
        """The scale of each number of an example, over these examples."""
        low, high = values.min(0), values.max(0)
        size = np.maximum(np.abs(low), np.abs(high))
        # squares of what is larger or smaller are not in float64's range
        unit = np.where((size > 0) & ((size > 1e150) | (size < 1e-150)), size, 1.0)
        values = values / unit
        mean, std = values.mean(0) * unit, values.std(0) * unit
        constant = is_constant(values)
        return cls(np.where(constant, low, mean), np.where(constant, 1.0, std))

    def __call__(self, values: Array) -> Array:
        """The values on this scale."""
        return (values - self.mean) / self.std
