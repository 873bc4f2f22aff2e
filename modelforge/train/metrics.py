"""`MetricsCSV`: a Lightning logger that keeps one tidy line an epoch, all its metrics side by side."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from modelforge.train.status import write_atomically


class MetricsCSV(Logger):
    """Writes `path` whole whenever Lightning saves; a file that is there already is continued.

    Lightning hands over training, validation and test metrics of one step in separate calls; here they meet in a line.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.rows: dict[int, dict[str, Any]] = {}
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = {int(row["step"]): dict(row) for row in csv.DictReader(file)}

    @property
    def name(self) -> str:
        """Lightning asks for one."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning asks for one."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run folder holds the whole config; nothing to add."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds to the line of `step`."""
        row = self.rows.setdefault(-1 if step is None else step, {"step": step})
        row.update({name: _number(name, value) for name, value in metrics.items()})

    @rank_zero_only
    def save(self) -> None:
        """Puts the file on the disk."""
        if not self.rows:
            return
        names = dict.fromkeys(name for row in self.rows.values() for name in row)
        out = io.StringIO()
        writer = csv.DictWriter(out, sorted(names, key=_rank), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows[step] for step in sorted(self.rows))
        write_atomically(self.path, out.getvalue())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Lightning calls this at the end, whatever the end."""
        self.save()


def _number(name: str, value: float) -> float | int:
    return int(value) if name == "epoch" else float(f"{float(value):.7g}")


def _rank(name: str) -> tuple[int, str]:
    order = ("epoch", "step", "train/", "val/", "test/")
    return next((index for index, prefix in enumerate(order) if name.startswith(prefix)), len(order)), name
