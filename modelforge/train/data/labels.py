"""encode: labels of any kind → classes 0, 1, 2, …, as many as were declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import fault, undeclared

MAX_SHOWN = 6
MAX_LENGTH = 40
Name = str | int | float | bool


@dataclass(frozen=True)
class Labels:
    """The class of each example, and what the classes are called in the data."""

    classes: Rows
    names: tuple[Name, ...]


def encode(labels: Array | Sequence[Any], num_classes: int, named: str) -> tuple[Labels, list[Problem]]:
    """The distinct values, in their order, as classes.

    Whole numbers that lie in 0..num_classes-1 are classes as they are, so that one of them may be missing.

    Example:
        >>> encode(["3.10", "3.2", "3.1", "3.2"], 3, "the table")
        (Labels(classes=array([1, 2, 0, 2]), names=('3.1', '3.10', '3.2')), [])

    Returns:
        The classes, and what is wrong with the labels.
    """
    if isinstance(labels, np.ndarray) and labels.ndim != 1:
        message = f"a class is one value, but the target of {named} has shape {labels.shape}"
        return NONE, [fault("target", message, "for numbers: `data.task=regression`")]
    values = labels.tolist() if isinstance(labels, np.ndarray) and labels.dtype.kind in "biufOUS" else list(labels)
    values = [_decoded(value) for value in values]
    if problem := _no_classes(values, named):
        return NONE, [problem]
    names = ordered(set(values))
    if all(type(name) is int and 0 <= name < num_classes for name in names) and len(names) > 1:
        names = list(range(num_classes))
    place = {name: number for number, name in enumerate(names)}
    problems = list[Problem]()
    if len(names) == 1:
        message = f"all examples of {named} are of one class: there is nothing to predict"
        problems.append(fault("target", message, "bring examples of others"))
    elif len(names) != num_classes:
        problem = undeclared("num_outputs", "class", len(names), num_classes, f"the target of {named}")
        shown = listed(map(_shown, names), MAX_SHOWN)
        problems.append(fault("num_outputs", f"{problem.message} ({shown})", problem.hint))
    return Labels(np.array([place[value] for value in values], np.int64), tuple(names)), problems


NONE = Labels(np.zeros(0, np.int64), ())


def ordered(names: Iterable[Any]) -> list[Any]:
    """Names in their order: as numbers where all of them read as numbers, so that 2 comes before 10; else as text.

    >>> ordered(["10", "2", "2.0"]), ordered(["10", "2", "b"])
    (['2', '2.0', '10'], ['10', '2', 'b'])
    """
    names = list(names)
    numbers = [_number(name) for name in names]
    return sorted(names) if None in numbers else [name for _, name in sorted(zip(numbers, names, strict=True))]


def _number(name: Any) -> Decimal | None:
    """The exact number that a text is. `1_000` and digits of other scripts are none, as in columns of numbers."""
    if isinstance(name, str) and "_" not in name and name.isascii():
        with suppress(ArithmeticError):
            number = Decimal(name)
            return number if number.is_finite() else None
    return None


def _decoded(value: Any) -> Any:
    """A value, where it is bytes of UTF-8 as text."""
    with suppress(UnicodeDecodeError):
        return value.decode() if isinstance(value, bytes) else value
    return value


def _no_classes(values: Sequence[Any], named: str) -> Problem | None:
    """The first value that is no class, or not of the kind of the first one."""
    for row, value in enumerate(values, start=1):
        what, hint = "", "give every class a name, or a whole number"
        if type(value) not in (str, int, float, bool):
            what = "no value" if value is None else f"a value of type {type(value).__name__}"
        elif isinstance(value, float) and not value.is_integer():
            what = str(value)
            hint = "for numbers: `data.task=regression`" if np.isfinite(value) else "leave such rows out"
        elif type(value) is not type(values[0]):
            what = f"{value!r} where row 1 has {values[0]!r}"
        if what:
            where = f"row {row} of the target of {named}"
            return fault("target", f"classes are whole numbers or names, but {where} has {what}", hint)
    return None if values else fault("target", f"the target of {named} has no rows", "bring examples")


def _shown(name: Name) -> str:
    """A name as text, in quotes where its spaces would not be seen."""
    text = str(name) if str(name).strip() == str(name) != "" else repr(name)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
