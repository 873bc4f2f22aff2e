"""numberings: the numbers of a table → a warning about columns that number its rows, which say nothing of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.train.data.arrow import Values
from modelforge.train.data.columns import MAX_SHOWN, Columns
from modelforge.train.data.parts import Array
from modelforge.train.data.refusals import setting
from modelforge.train.data.sheet import Sheet

MIN_ROWS = 20
"""Rows from which whole numbers that are all different are no chance."""
IDS = re.compile(r"(^|[^a-zA-Z])(id|Id|ID)$|[a-z](Id|ID)$")
"""How columns of ids are called."""


def numberings(source: Columns, numbers: Mapping[str, Values], sheet: Sheet) -> Iterator[Problem]:
    """The warning about features that number the rows; those that the section names as features are meant.

    Args:
        source: What was declared.
        numbers: Each feature that is a column of numbers; their values are copied one column at a time.
        sheet: The table.
    """
    if source.features is not None:
        return
    ends = np.cumsum([number for _, number, _ in sheet.files])[:-1]
    found = [
        name for name, one in numbers.items() if all(_is_numbering(name, own) for own in np.split(one.values, ends))
    ]
    if not found or len(found) == source.num_features:
        return
    which = f"columns {listed(found, MAX_SHOWN, quote='`')} have" if len(found) > 1 else f"column `{found[0]}` has"
    message = f"{which} a different whole number in each row of {sheet.named}, like a row number"
    ignore = setting("ignore", [*source.ignore, *found])
    rest = setting("num_features", source.num_features - len(found))
    yield Problem("MW207", "data.features", message, f"if they are row numbers: `{ignore} {rest}`")


def _is_numbering(name: str, values: Array) -> bool:
    """Whether numbers are whole and all different, and rise from row to row, lie close together or are called ids."""
    if len(values) < MIN_ROWS or not np.isfinite(values).all() or (values % 1).any():
        return False
    if (np.diff(values) > 0).all():
        return True
    is_likely = np.ptp(values) < 2 * len(values) or IDS.search(name)
    return bool(is_likely) and len(np.unique(values)) == len(values)
