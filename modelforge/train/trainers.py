"""The `trainer` section → a checked `lightning.Trainer`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from modelforge.errors import ForgeError, Problem
from modelforge.train.metrics import MetricsCSV
from modelforge.train.settings import LoggerSettings
from modelforge.train.signature import check_arguments

RESERVED = MappingProxyType(
    {
        "logger": "choose with the `logger` group: logger=csv",
        "callbacks": "a config is data and cannot name code",
        "plugins": "a config is data and cannot name code",
        "default_root_dir": "it is the run folder: hydra.run.dir=...",
        "enable_checkpointing": "checkpoints/best.ckpt and last.ckpt are part of every run",
        "enable_model_summary": "modelforge shows its own table",
        "enable_autolog_hparams": "the run folder holds the whole config",
        "model_registry": "it belongs to a service that modelforge does not use",
        "barebones": "it switches off what a run's folder is made of",
        "reload_dataloaders_every_n_epochs": "the data does not change",
    }
)


class TensorBoard(TensorBoardLogger):
    """Lightning's, without the empty hparams.yaml: the run folder holds the whole config."""

    @rank_zero_only
    def save(self) -> None:
        """Flushes the events to the disk."""
        self.experiment.flush()


def parse_trainer(section: Any) -> tuple[dict[str, Any], list[Problem]]:
    """Checks a `trainer` section against the signature of `lightning.Trainer`."""
    if not isinstance(section, Mapping):
        return {}, [Problem("MF051", "trainer", f"`trainer` must be a mapping, but is {section!r}")]
    return check_arguments(Trainer, section, "trainer", reserved=RESERVED)


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
