"""encode: labels of any kind → classes 0, 1, 2, …, as many as were declared."""

from __future__ import annotations

import numpy as np

from modelforge.errors import Problem
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import fault, undeclared

MAX_SHOWN = 6


def encode(labels: Array, num_classes: int, named: str) -> tuple[Rows, list[Problem]]:
    """Whole numbers are classes as they are; names, and numbers written as text, are classes in their order.

    Example:
        >>> encode(np.array(["no", "yes", "no"]), 2, "the table")
        (array([0, 1, 0]), [])

    Returns:
        The class of each example, and what is wrong with them.
    """
    if labels.ndim == 1 and len(labels) and bool((labels == labels[0]).all()):
        message = f"all examples of {named} are of one class: there is nothing to tell"
        return np.zeros(len(labels), np.int64), [fault("target", message, "bring examples of others")]
    if labels.ndim != 1:
        message = f"a class is one value, but the target of {named} has shape {labels.shape}"
        return np.zeros(0, np.int64), [fault("target", message, "for numbers: `data.task=regression`")]
    if np.issubdtype(labels.dtype, np.integer) or labels.dtype == bool:
        return _in_range(labels.astype(np.int64), num_classes, named)
    if np.issubdtype(labels.dtype, np.floating) and (problem := _no_class(labels, named)):
        return np.zeros(0, np.int64), [problem]
    names, classes = np.unique(_ordered(labels), return_inverse=True)
    problems: list[Problem] = []
    if len(names) != num_classes:
        problem = undeclared("num_outputs", "class", len(names), num_classes, f"the target of {named}")
        shown = ", ".join(map(str, names[:MAX_SHOWN])) + (", …" if len(names) > MAX_SHOWN else "")
        problems.append(fault("num_outputs", f"{problem.message} ({shown})", problem.hint))
    return classes.astype(np.int64), problems


def _no_class(labels: Array, named: str) -> Problem | None:
    """A number that is missing, or between two others."""
    wrong = np.flatnonzero(~np.isfinite(labels) | (labels != np.floor(labels)))
    if not len(wrong):
        return None
    row, value = int(wrong[0]), labels[wrong[0]]
    message = f"classes are whole numbers or names, but row {row} of the target of {named} has {value}"
    hint = "for numbers: `data.task=regression`" if np.isfinite(value) else "leave such rows out"
    return fault("target", message, hint)


def _ordered(labels: Array) -> Array:
    """Numbers written as text as numbers, so that 2 comes before 10."""
    try:
        numbers = labels.astype(np.float64)
    except ValueError:
        return labels.astype(str)
    return numbers.astype(np.int64) if np.all(numbers == np.floor(numbers)) else numbers


def _in_range(labels: Rows, num_classes: int, named: str) -> tuple[Rows, list[Problem]]:
    outside = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if not len(outside):
        return labels, []
    row, low, high = int(outside[0]), int(labels.min()), int(labels.max())
    message = (
        f"labels must lie in 0..{num_classes - 1}, but those of {named} lie in {low}..{high}: "
        f"row {row} is the first outside, with {int(labels[row])}"
    )
    way = f"write `data.num_outputs={high + 1}`" if low >= 0 else "count the classes from 0"
    return labels, [fault("num_outputs" if low >= 0 else "target", message, way)]
