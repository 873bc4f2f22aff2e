"""unseen: the categories of a table that its training part does not have → problems, or warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.train.data.arrow import Values
from modelforge.train.data.columns import MAX_SHOWN, Columns
from modelforge.train.data.features import MAX_LOOKED_AT, Feature
from modelforge.train.data.parts import Rows
from modelforge.train.data.refusals import fault
from modelforge.train.data.sheet import Sheet

MAX_UNSEEN = 3
"""New categories of a column that are named."""


def unseen(
    source: Columns,
    fits: Sequence[Feature],
    values: Sequence[Values],
    parts: Sequence[Rows],
    sheet: Sheet,
    *,
    training: bool = True,
) -> Iterator[Problem]:
    """The categories that the training part, the first of `parts`, does not have: problems, or warnings.

    A few of them are usual in the parts for validation and test; most of a part are not.
    """
    for fit, one in zip(fits, values, strict=True):
        if fit.kind not in ("category", "ids"):
            continue
        strange = fit.places(one.values) < 0
        strange[one.missing] = False
        key = "categorical" if fit.kind == "category" else "embed"
        if source.unseen == "error":
            rows = np.concatenate([*parts])
            if len(lost := rows[strange[rows]]):
                message = f"column `{fit.name}` has {_first(one, lost, sheet, 1)}: not a category of the training part"
                yield fault(key, message, f"known: {listed(fit.categories, MAX_SHOWN)}; or `data.unseen=zeros`")
            continue
        for part in parts[1:]:
            lost = part[strange[part]]
            if len(lost) > (len(part) / 2 if training else 0):
                message = (
                    f"{len(lost):,} of {plural(len(part), 'row')} {'has' if len(lost) == 1 else 'have'}"
                    " a category that is not in the training part"
                )
                becomes = "0 in all features of the column" if fit.kind == "category" else "id 0"
                yield Problem(
                    "MW205",
                    f"data.{key}" if training else "",
                    f"column `{fit.name}`: {message}: {_first(one, lost, sheet, MAX_UNSEEN)}",
                    f"each is read as {becomes}; known: {listed(fit.categories, MAX_SHOWN)}",
                )


def _first(values: Values, rows: Rows, sheet: Sheet, number: int) -> str:
    """The first different texts in some rows, each with its row, and how many rows are left."""
    first = dict[str, int]()
    for row in rows[:MAX_LOOKED_AT]:
        first.setdefault(values.values[int(row)].as_py(), int(row))
        if len(first) > number:
            break
    shown = [f"{text!r} in {sheet.place(row)}" for text, row in [*first.items()][:number]]
    left = len(rows) - len(shown)
    rest = f", and {plural(left, 'more row')} of such" if left else ""
    return ", ".join(shown) + rest
