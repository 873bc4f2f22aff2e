"""`read_curve`: metrics.csv of a run → one metric by epoch; `last_epoch`: how far a run has come."""

from __future__ import annotations

import csv
import os
from contextlib import suppress
from math import isfinite
from pathlib import Path

from modelforge.core.limits import MAX_LEDGER_BYTES
from modelforge.core.regular_files import open_regular, read_text

METRICS = "metrics.csv"
TAIL = 4096
"""Bytes at the end of a file that hold its last line."""

Curve = list[tuple[float, float]]
"""Epochs, counted from 1, and values."""


def read_curve(folder: Path, metric: str, most: int = 60) -> Curve:
    """A metric by epoch, at most so many points; empty where the run wrote none.

    Args:
        folder: The run folder.
        metric: A column of metrics.csv.
        most: Points to keep; of more, some at equal distances, the last among them.
    """
    found: Curve = []
    with suppress(OSError, ValueError, csv.Error):
        for row in csv.DictReader(read_text(folder / METRICS, MAX_LEDGER_BYTES).splitlines()):
            if row.get(metric) and row.get("epoch"):
                value = float(row[metric])
                found.append((float(row["epoch"]) + 1, value))
    found = [point for point in found if all(map(isfinite, point))]
    step = -(-len(found) // most) if found else 1
    return found[::-1][::step][::-1]


def last_epoch(folder: Path) -> int | None:
    """The number of epochs that a run has finished; None where it has written none.

    The line of an epoch has values of the training; that of a validation within one has none, nor has that of the test.
    """
    with suppress(OSError, ValueError, csv.Error), open_regular(folder / METRICS) as file:
        header = file.readline().decode()
        size = os.fstat(file.fileno()).st_size
        file.seek(max(len(header.encode()), size - TAIL))
        lines = file.read().decode("utf-8", "replace").splitlines()
        names = next(csv.reader([header]))
        for line in reversed(lines):
            row = dict(zip(names, next(csv.reader([line]), []), strict=False))
            if row.get("epoch", "").isdigit() and any(row[name] for name in row if name.startswith("train/")):
                return int(row["epoch"]) + 1
    return None
