"""Loggers: `MetricsCSV` keeps one tidy line an epoch, all its metrics side by side; `TensorBoard` keeps events."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from modelforge.core.files import write_atomically
from modelforge.train.settings import LoggerSettings


class MetricsCSV(Logger):
    """Writes `path` whole whenever Lightning saves.

    Lightning hands over training, validation and test metrics of one step in separate calls; here they meet in a line.

    Args:
        path: The file.
        is_written: Whether there is to be one; else the lines are kept for checkpoints alone.
    """

    name: str = "metrics"  # pyright: ignore  # theirs is a property
    version: str = ""  # pyright: ignore  # theirs is a property

    def __init__(self, path: Path, *, is_written: bool = True) -> None:
        super().__init__()
        self.path = path
        self.is_written = is_written
        self.rows: dict[int, dict[str, Any]] = {}
        """By step, exactly as they were measured."""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self.path.parent)

    def restore(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Goes on from the lines that a checkpoint holds."""
        self.rows = {_key(row["step"]): dict(row) for row in rows}

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run folder holds the whole config; nothing to add."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds to the line of `step`."""
        row = self.rows.setdefault(_key(step), {"step": step})
        row |= {name: float(value) for name, value in metrics.items()}

    @rank_zero_only
    def save(self) -> None:
        """Puts the file on the disk."""
        if not self.rows or not self.is_written:
            return
        names = dict.fromkeys(name for row in self.rows.values() for name in row)
        out = io.StringIO()
        writer = csv.DictWriter(out, sorted(names, key=_rank), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(_written(self.rows[step]) for step in sorted(self.rows))
        write_atomically(self.path, out.getvalue())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Lightning calls this at the end, whatever the end."""
        self.save()


class TensorBoard(TensorBoardLogger):
    """Lightning's, without the empty hparams.yaml: the run folder holds the whole config."""

    @rank_zero_only
    def save(self) -> None:
        """Flushes the events to the disk."""
        self.experiment.flush()


def make_loggers(settings: LoggerSettings, folder: Path) -> tuple[MetricsCSV, list[Logger]]:
    """The loggers that the config asks for, writing straight into `folder`: the one of all lines, and the others."""
    history = MetricsCSV(folder / "metrics.csv", is_written=settings.csv)
    if not settings.tensorboard:
        return history, []
    return history, [TensorBoard(folder, name="", version="", default_hp_metric=False)]


def _key(step: int | None) -> int:
    return -1 if step is None else step


def _written(row: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: float(f"{value:.7g}") for name, value in row.items() if name != "step"}
    return row | numbers | ({"epoch": int(row["epoch"])} if "epoch" in row else {})


def _rank(name: str) -> tuple[int, str]:
    order = ("epoch", "step", "train/", "val/", "test/")
    return next((index for index, prefix in enumerate(order) if name.startswith(prefix)), len(order)), name
