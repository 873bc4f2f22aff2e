"""Columns: values by name, one row for each example, as CSV or as plain data."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping
from typing import Any


def as_csv(columns: Mapping[str, Any]) -> str:
    """A header, and a row for each example; a cell that is a list is written as JSON.

    Example:
        >>> print(as_csv({"name": ["a", "b"], "values": [[1, 2], [3, 4]]}), end="")
        name,values
        a,"[1, 2]"
        b,"[3, 4]"

    Args:
        columns: Of equal length; each a list, or an array.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    cells = (
        [json.dumps(cell) if isinstance(cell, list) else cell for cell in values] for values in plain(columns).values()
    )
    writer.writerows(zip(*cells, strict=True))
    return out.getvalue()


def apart(names: Collection[str], taken: Collection[str], prefix: str) -> list[str]:
    """Names of columns that stand beside others: one that is taken gets a prefix.

    Example:
        >>> apart(["price", "loss"], ["example", "loss"], "prediction_")
        ['price', 'prediction_loss']
    """
    found = [*taken]
    for given in names:
        name = given
        while name in found or (name != given and name in names):
            name = prefix + name
        found.append(name)
    return found[len(taken) :]


def plain(columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns as lists of what JSON knows."""
    return {name: _as_list(values) for name, values in columns.items()}


def _as_list(values: Any) -> list[Any]:
    """An array of NumPy or Arrow as a list of Python's values."""
    listing = getattr(values, "to_pylist", None) or getattr(values, "tolist", None)
    return listing() if listing else list(values)
