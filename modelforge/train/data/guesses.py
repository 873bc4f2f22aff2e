"""with_guesses: problems of a table → the same, with the settings that a likely target would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from modelforge.core.errors import ForgeError, Problem
from modelforge.train.data.arrow import numbers
from modelforge.train.data.columns import Columns
from modelforge.train.data.frame import read_examples
from modelforge.train.data.refusals import setting, settings
from modelforge.train.data.sheet import Sheet
from modelforge.train.tasks.registry import parse_task, tasks_for


def settings_for(source: Columns, sheet: Sheet, target: str) -> list[str]:
    """The settings with a column as the target: a class, or a number where it looks like a quantity."""
    task = parse_task(tasks_for(["number"])[0]) if _is_quantity(sheet.columns[target]) else source.task
    lines = [setting("target", target)] + ([setting("task", task.type)] if task != source.task else [])
    try:
        read_examples(source.model_copy(update={"target": (target,), "task": task}), sheet)
    except ForgeError as error:
        lines += [line for line in settings(error.problems) if line not in lines]
    return lines


def with_guesses(source: Columns, problems: Sequence[Problem], sheet: Sheet) -> list[Problem]:
    """Problems; with the settings of another target, where none is named, or where many classes look measured."""
    if not source.target and source.target_kind != "input":
        left = [name for name in sheet.columns if name not in source.ignore]
        if len(problems) == 1 and left:
            lines = " ".join(settings_for(source, sheet, left[-1]))
            hint = f"{problems[0].hint}{problems[0].hint and '; '}for `{left[-1]}`: `{lines}`"
            return [replace(problems[0], hint=hint)]
        return [*problems]
    known = all(name in sheet.columns for name in source.target)
    if source.target_kind != "class" or not known or not _is_quantity(sheet.columns[source.target[0]]):
        return [*problems]
    if not any(problem.key == "data.num_outputs" for problem in problems):
        return [*problems]
    number = f"`{' '.join(settings_for(source, sheet, source.target[0]))}`"
    return [_with_number(problem, number) for problem in problems]


def _with_number(problem: Problem, number: str) -> Problem:
    """A problem of many classes that look measured: its settings are those of a number, where it is of no class."""
    if problem.key == "data.num_outputs":
        return replace(problem, hint=f"to predict a class, {problem.hint}; to predict a number, write {number}")
    return replace(problem, hint=f"write {number}") if settings([problem]) else problem


def _is_quantity(column: pa.ChunkedArray) -> bool:
    """Whether a column looks measured: it has fractions, or mostly distinct numbers."""
    found = numbers(column, ())
    values = found.values
    return not len(found.wrong) and bool((values % 1).any() or 2 * len(np.unique(values)) > len(values))
