"""Read, split and standardise a table of 60 MB of CSV, beside pandas' reader; time and memory as ratios.

    python benchmarks/tables.py

All figures come from one run on one machine; the ratios are what counts.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
from timing import report, times

from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source

ROWS, COLUMNS = 660_000, 10


def main() -> None:
    """Writes the table, and reads it in several ways."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        _write(path)
        size = path.stat().st_size
        taken = times(
            {
                "pandas.read_csv": lambda: _pandas(path),
                "pyarrow.csv.read_csv": lambda: pyarrow.csv.read_csv(path),
                "modelforge, read, split and standardised": lambda: _read(path),
            },
            rounds=3,
        )
        report(f"CSV, {size / 1e6:.0f} MB, {ROWS:,} rows", taken, "pandas.read_csv")
        for name in ("pandas", "modelforge"):
            print(f"{name}: {_memory(path, name) / size:.1f} times the size of the file in memory")


def _read(path: Path) -> Any:
    section = {"type": "csv", "path": str(path), "target": "kind", "task": "classification", "num_outputs": 3}
    return read(parse_source({**section, "num_features": COLUMNS, "input": {"shape": [COLUMNS]}}))


def _pandas(path: Path) -> Any:
    import pandas

    return pandas.read_csv(path)


def _write(path: Path) -> None:
    random = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join([*(f"c{place}" for place in range(COLUMNS)), "kind"]) + "\n")
        for _ in range(10):
            values, kinds = random.normal(size=(ROWS // 10, COLUMNS)), random.integers(0, 3, ROWS // 10)
            lines = (",".join(f"{value:.5f}" for value in row) for row in values.tolist())
            file.writelines(f"{line},k{kind}\n" for line, kind in zip(lines, kinds, strict=True))


def _memory(path: Path, name: str) -> int:
    """How many bytes a fresh process needs at most to read the table."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (path, name))


def _grown(path: Path, name: str) -> int:
    small = path.with_suffix(".small.csv")
    with path.open() as lines:
        small.write_text("".join(line for line, _ in zip(lines, range(1000), strict=False)))
    _ = _pandas(small) if name == "pandas" else _read(small)  # what is imported does not count
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten; Linux only
    before = _peak()
    kept = _pandas(path) if name == "pandas" else _read(path)
    assert kept is not None
    return _peak() - before


def _peak() -> int:
    """The most memory of this process so far, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
