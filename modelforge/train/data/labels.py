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
from modelforge.core.words import plural
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


@dataclass(frozen=True)
class Coded:
    """Labels as places among the different ones, in the order in which they appear."""

    places: Rows
    """-1 for none."""
    distinct: Sequence[Any]
    first_rows: Sequence[int]

    @classmethod
    def of(cls, labels: Array | Sequence[Any]) -> Coded:
        """Labels of any kind; those of different types are different."""
        plain = labels.tolist() if isinstance(labels, np.ndarray) and labels.dtype.kind in "biufOUS" else labels
        values = [_decoded(value) for value in plain]
        known = dict[Any, int]()
        rows = list[int]()
        places = np.empty(len(values), np.int64)
        for row, value in enumerate(values):
            key = (type(value), value if isinstance(value, Name) else row)
            if (place := known.setdefault(key, len(rows))) == len(rows):
                rows.append(row)
            places[row] = place
        return cls(places, [values[row] for row in rows], rows)


Given = Array | Sequence[Any] | Coded
"""Labels as sources have them."""
NONE = Labels(np.zeros(0, np.int64), ())


def encode(labels: Given, num_classes: int, named: str, *, key: str = "num_outputs") -> tuple[Labels, list[Problem]]:
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
        return NONE, [fault("target", message, _flat(labels))]
    coded = labels if isinstance(labels, Coded) else Coded.of(labels)
    if problem := _no_classes(coded, named):
        return NONE, [problem]
    names = ordered(coded.distinct)
    if all(type(name) is int and 0 <= name < num_classes for name in names) and len(names) > 1:
        names = list(range(num_classes))
    problems = list[Problem]()
    if len(names) == 1:
        message = f"all examples of {named} are of one class: there is nothing to predict"
        problems.append(fault("target", message, "bring examples of others"))
    elif len(names) != num_classes:
        problem = undeclared(key, "class", len(names), num_classes, f"the target of {named}")
        shown = listed(map(_shown, names), MAX_SHOWN)
        problems.append(fault(key, f"{problem.message} ({shown})", problem.hint))
    return Labels(_places(coded, names), tuple(names)), problems


def _flat(labels: Array) -> str:
    """The hint for targets of several numbers each, where one is due."""
    if labels.shape[1:] == (1,):
        return "save them without the second dimension: `y[:, 0]`"
    shares = labels.ndim == 2 and labels.dtype.kind in "biuf" and np.isin(labels, (0, 1)).all()
    if shares and (labels.sum(1) == 1).all():
        return "each has one 1: save its place, `y.argmax(1)`"
    return "for numbers: `data.task=regression`"


def among(labels: Given, names: Sequence[Name], named: str) -> tuple[Rows, list[Problem]]:
    """The class of each label among known names, and the problem of labels that are none of them.

    >>> among(["b", "a", "b"], ["a", "b"], "the table")[0]
    array([1, 0, 1])
    """
    coded = labels if isinstance(labels, Coded) else Coded.of(labels)
    if isinstance(names[0], str):
        coded = Coded(coded.places, [*map(str, coded.distinct)], coded.first_rows)
    known = set(names)
    there = np.unique(coded.places)
    unknown = [place for place in there[there >= 0] if coded.distinct[place] not in known]
    if not unknown and (coded.places >= 0).all():
        return _places(coded, names), []
    if not unknown:
        row = int(np.argmin(coded.places)) + 1
        return NONE.classes, [fault("target", f"row {row} of {named} has no class", "leave the row out")]
    number = int(np.isin(coded.places, unknown).sum())
    shown = listed((_shown(coded.distinct[place]) for place in unknown), MAX_SHOWN)
    message = f"{plural(number, 'row')} of {named} {'has' if number == 1 else 'have'} a class that the training did not"
    hint = f"known: {listed(map(_shown, names), MAX_SHOWN)}"
    return NONE.classes, [fault("target", f"{message} ({shown})", hint)]


def _places(coded: Coded, names: Sequence[Name]) -> Rows:
    """The place of each label among names; -1 for none."""
    place = {name: number for number, name in enumerate(names)}
    return np.array([*(place.get(value, -1) for value in coded.distinct), -1], np.int64)[coded.places]


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


def _no_classes(coded: Coded, named: str) -> Problem | None:
    """The first value that is not a class, or not of the kind of the first one."""
    for row, value in zip(coded.first_rows, coded.distinct, strict=True):
        what, hint = "", "give every class a name, or a whole number"
        if type(value) not in (str, int, float, bool):
            what = "no value" if value is None else f"a value of type {type(value).__name__}"
        elif isinstance(value, float) and not value.is_integer():
            what = str(value)
            hint = "for numbers: `data.task=regression`" if np.isfinite(value) else "leave such rows out"
        elif type(value) is not type(coded.distinct[0]):
            what = f"{value!r} where row {coded.first_rows[0] + 1} has {coded.distinct[0]!r}"
        if what:
            where = f"row {row + 1} of the target of {named}"
            return fault("target", f"classes are whole numbers or names, but {where} has {what}", hint)
    return None if coded.distinct else fault("target", f"the target of {named} has no rows", "bring examples")


def _shown(name: Name) -> str:
    """A name as text, in quotes where its spaces would not be seen."""
    text = str(name) if str(name).strip() == str(name) != "" else repr(name)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
