"""Checked arguments → a `lightning.Trainer` with its loggers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from modelforge.errors import ForgeError, Problem
from modelforge.train.metrics import MetricsCSV
from modelforge.train.settings import LoggerSettings


class TensorBoard(TensorBoardLogger):
    """Lightning's, without the empty hparams.yaml: the run folder holds the whole config."""

    @rank_zero_only
    def save(self) -> None:
        """Flushes the events to the disk."""
        self.experiment.flush()


def make_trainer(
    arguments: Mapping[str, Any], *, folder: Path, loggers: list[Logger], callbacks: list[Callback]
) -> Trainer:
    """A trainer that writes to `folder`.

    Raises:
        ForgeError: Lightning refuses a combination of arguments, or the machine has no such device.
    """
    try:
        return Trainer(
            **{**arguments, "enable_progress_bar": arguments.get("enable_progress_bar", True)},
            default_root_dir=folder,
            logger=loggers or False,
            callbacks=callbacks,
            enable_model_summary=False,
            enable_autolog_hparams=False,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        raise ForgeError([Problem("MF051", "trainer", f"Lightning refuses these settings: {error}")]) from error


def make_loggers(settings: LoggerSettings, folder: Path) -> list[Logger]:
    """The loggers that the config asks for, writing straight into `folder`."""
    loggers: list[Logger] = []
    if settings.csv:
        loggers.append(MetricsCSV(folder / "metrics.csv"))
    if settings.tensorboard:
        loggers.append(TensorBoard(folder, name="", version="", default_hp_metric=False))
    return loggers
