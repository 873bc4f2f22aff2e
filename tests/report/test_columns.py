"""Columns as CSV and as plain data."""

from __future__ import annotations

import csv
import io

import numpy as np

from modelforge.report.columns import as_csv, plain


def test_cells_come_back_from_csv():
    names = np.array(["a,b", 'say "x"', "line\nend", ""])
    text = as_csv({"name": names, "value": np.array([1.5, -2.0, 1e-300, 0.1])})
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["name", "value"]
    assert [row[0] for row in rows] == names.tolist()
    assert [float(row[1]) for row in rows] == [1.5, -2.0, 1e-300, 0.1]


def test_arrays_become_lists():
    assert plain({"a": np.array([1, 2]), "b": [3, 4]}) == {"a": [1, 2], "b": [3, 4]}
