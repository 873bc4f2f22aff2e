"""Loggers that write into the run folder: `CSVFiles` one line an epoch and one a logged step, `TensorBoard` events."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.tensorboard.summary import hparams

from modelforge.core.files import write_atomically
from modelforge.train.rows import Rows


class CSVFiles(Logger):
    """Writes metrics.csv whole whenever Lightning saves, and adds each finished row to steps.csv.

    Lightning hands over training, validation and test metrics of one step in separate calls; in `rows` they meet.

    Args:
        folder: Where the files go.
        rows: What there is to write.
    """

    name: str = "csv"  # pyright: ignore  # theirs is a property
    version: str = ""  # pyright: ignore  # theirs is a property

    def __init__(self, folder: Path, rows: Rows) -> None:
        super().__init__()
        self.folder = folder
        self.rows = rows
        self._columns: list[str] = []
        """Of steps.csv, as far as it is written."""
        self._num_written = 0

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self.folder)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run folder holds the whole config; nothing to add."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds the rows of the steps before the last one, which may not be complete yet."""
        self._write_steps(self.rows.num_steps - 1)

    @rank_zero_only
    def save(self) -> None:
        """Puts all that there is on the disk."""
        self._write_steps(self.rows.num_steps)
        epochs = self.rows.epochs
        if not epochs:
            return
        names = dict.fromkeys(name for row in epochs.values() for name in row)
        lines = (_written(epochs[step]) for step in sorted(epochs))
        write_atomically(self.folder / "metrics.csv", _csv(sorted(names, key=_rank), lines, header=True))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Lightning calls this at the end, whatever the end."""
        self.save()

    def _write_steps(self, end: int) -> None:
        """Writes the rows up to `end`, or all of them again where there is a new column."""
        path, columns = self.folder / "steps.csv", sorted(self.rows.steps, key=_rank)
        if columns != self._columns and end > 0:
            self._columns, self._num_written = columns, end
            lines = (_written(self.rows.step_row(index)) for index in range(end))
            write_atomically(path, _csv(columns, lines, header=True))
        elif end > self._num_written:
            lines = (_written(self.rows.step_row(index)) for index in range(self._num_written, end))
            with open(path, "a", encoding="utf-8", newline="") as file:
                file.write(_csv(columns, lines, header=False))
            self._num_written = end


class TensorBoard(TensorBoardLogger):
    """Lightning's, with the hyperparameters as TensorBoard shows them, and without a hparams.yaml.

    Args:
        folder: Where the events go; those of a run that went on in the same folder are left out of its curves.
        metric: The metric beside the hyperparameters.
    """

    def __init__(self, folder: Path, metric: str) -> None:
        super().__init__(folder, name="", version="", default_hp_metric=False, purge_step=0)
        self.metric = metric

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Writes them once, with the name of the metric."""
        given = vars(params) if isinstance(params, Namespace) else params
        values = {
            name: value if isinstance(value, bool | int | float | str) else "null" for name, value in given.items()
        }
        writer = self.experiment._get_file_writer()
        for summary in hparams(values, {self.metric: 0.0}):
            writer.add_summary(summary)

    @rank_zero_only
    def save(self) -> None:
        """Flushes the events to the disk."""
        self.experiment.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Lightning calls this after the training and after the test; the file stays open between the two."""
        self.save()


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, header: bool) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _written(row: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: float(f"{value:.7g}") for name, value in row.items() if name not in ("step", "epoch")}
    counts = {name: None if row[name] is None else int(row[name]) for name in ("step", "epoch") if name in row}
    return numbers | counts


def _rank(name: str) -> tuple[int, str]:
    order = ("epoch", "step", "train", "val", "test", "loss", "lr", "gradient_norm")
    group = name.partition("/")[0]
    return order.index(group) if group in order else len(order), name
