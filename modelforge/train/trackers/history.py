"""`History`: keeps every metric for the checkpoints, and gives those of a resumed run to the other loggers."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from modelforge.train.context import Context
from modelforge.train.loggers.registry import LoggerSettings
from modelforge.train.rows import Rows


class History(Logger):
    """The first logger of every run; it writes nothing itself.

    Args:
        rows: Where the metrics go.
        others: The loggers that a config asks for.
    """

    name: str = "history"  # pyright: ignore  # theirs is a property
    version: str = ""  # pyright: ignore  # theirs is a property

    def __init__(self, rows: Rows, others: Sequence[Logger] = ()) -> None:
        super().__init__()
        self.rows = rows
        self.others = others

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The checkpoints hold the config already."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Adds to the rows of `step`."""
        self.rows.add(metrics, step)

    def replay(self) -> None:
        """Gives the other loggers all that was measured before they were there."""
        for metrics, step in self.rows.replayed():
            for logger in self.others:
                logger.log_metrics(metrics, step)
        for logger in self.others:
            logger.save()


@contextmanager
def history_of(loggers: Mapping[str, LoggerSettings], context: Context) -> Generator[History]:
    """The history of a run with the loggers that its config asks for, which get the hyperparameters first."""
    made: list[tuple[LoggerSettings, Logger]] = []
    finished = False
    try:
        for settings in loggers.values():
            made.append((settings, settings.make(context)))
            made[-1][1].log_hyperparams(context.hyperparameters)
        yield History(context.rows, [logger for _, logger in made])
        finished = True
    finally:
        for settings, logger in made:
            settings.close(logger, finished=finished)
