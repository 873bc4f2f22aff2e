"""`to_csv`, `to_parquet`: one line a job: state, swept values, metrics, duration, folder, reason."""

from __future__ import annotations

from typing import Any

from modelforge.core.errors import ForgeError, Problem
from modelforge.report.columns import as_csv
from modelforge.results.sweep import Sweep
from modelforge.results.values import as_number


def to_csv(sweep: Sweep) -> str:
    """The jobs as CSV; a cell that is not there is empty."""
    return as_csv({name: ["" if cell is None else cell for cell in cells] for name, cells in columns(sweep).items()})


def to_parquet(sweep: Sweep) -> bytes:
    """The jobs as a Parquet file: swept values as numbers where all are, metrics as numbers, nulls for what is missing.

    Raises:
        ForgeError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        hint = "pip install 'modelforge[train]'"
        raise ForgeError([Problem("MF151", "--format parquet", "Parquet needs `pyarrow`", hint)]) from None
    out = pyarrow.BufferOutputStream()
    found = columns(sweep)
    parquet.write_table(
        pyarrow.table({name: _typed(cells) if name in sweep.keys else cells for name, cells in found.items()}), out
    )
    return out.getvalue().to_pybytes()


def columns(sweep: Sweep) -> dict[str, list[Any]]:
    """The cells by name of the column; None for what is not there."""
    found: dict[str, list[Any]] = {"state": [row.state for row in sweep.rows]}
    for key in sweep.keys:
        found[_distinct(key, found)] = [row.overrides.get(key) for row in sweep.rows]
    for name in sweep.metric_names:
        found[_distinct(name, found)] = [row.metrics.get(name) for row in sweep.rows]
    found[_distinct("seconds", found)] = [row.seconds for row in sweep.rows]
    found[_distinct("folder", found)] = [row.folder for row in sweep.rows]
    found[_distinct("reason", found)] = [row.reason for row in sweep.rows]
    return found


def _distinct(name: str, known: dict[str, list[Any]]) -> str:
    """A key may be called as a column of ours."""
    return name if name not in known else f"{name} (2)"


def _typed(cells: list[Any]) -> list[Any]:
    numbers = [None if cell is None else as_number(cell) for cell in cells]
    return numbers if all(number is not None for number, cell in zip(numbers, cells, strict=True) if cell) else cells
