"""Checked arguments → a `lightning.Trainer` with its loggers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from lightning.pytorch.utilities import rank_zero_only

from modelforge.core.errors import MAX_MESSAGE, Problem, sentence
from modelforge.train.checkpoints import AtomicIO
from modelforge.train.metrics import MetricsCSV
from modelforge.train.settings import LoggerSettings
from modelforge.train.surroundings import quiet
from modelforge.train.trainer_settings import one_process


class TensorBoard(TensorBoardLogger):
    """Lightning's, without the empty hparams.yaml: the run folder holds the whole config."""

    @rank_zero_only
    def save(self) -> None:
        """Flushes the events to the disk."""
        self.experiment.flush()


def make_trainer(
    arguments: Mapping[str, Any], *, folder: Path, loggers: list[Logger], callbacks: list[Callback]
) -> Trainer:
    """A trainer that writes to `folder`; `check_trainer` has found nothing wrong with its arguments."""
    return Trainer(
        **{**arguments, "enable_progress_bar": arguments.get("enable_progress_bar", True)},
        default_root_dir=folder,
        logger=loggers,
        plugins=[AtomicIO()],
        callbacks=callbacks,
        enable_model_summary=False,
        enable_autolog_hparams=False,
    )


def check_trainer(arguments: Mapping[str, Any]) -> list[Problem]:
    """What Lightning refuses of a `trainer` section on this machine, and more processes than one; writes nothing.

    Lightning does not say which argument it speaks of: it is the one without which it is content, or complains of
    something else.
    """
    arguments, problems = dict(arguments), list[Problem]()
    with quiet():
        while (said := _refusal(arguments)) is not None:
            without = {key: _refusal({k: v for k, v in arguments.items() if k != key}) for key in reversed(arguments)}
            content = [key for key, answer in without.items() if answer is None]
            key = next(iter(content + [key for key, answer in without.items() if answer != said]), None)
            if key is None:
                return [*problems, Problem("MF051", "trainer", f"Lightning refuses these settings: {said}")]
            problems.append(Problem("MF051", f"trainer.{key}", f"Lightning refuses this: {said}"))
            del arguments[key]
        return problems or _other_processes(arguments)


def complaint(error: Exception, arguments: Mapping[str, Any]) -> Problem | None:
    """What Lightning refuses when a training starts; None if this is none of its complaints about arguments."""
    text = sentence(error, MAX_MESSAGE)
    # The one that is named first: what follows is advice.
    found = {at.start(): key for key in arguments if (at := re.search(rf"`{key}`|\b{key}=", text))}
    key = found[min(found)] if found else None
    if key is None and not isinstance(error, MisconfigurationException):
        return None
    path = "trainer" if key is None else f"trainer.{key}"
    return Problem("MF051", path, f"Lightning refuses {'this' if key else 'these settings'}: {text}")


def _refusal(arguments: Mapping[str, Any]) -> str | None:
    try:
        _bare(arguments)
    except Exception as error:  # of all kinds: it asks the machine, too
        return sentence(error, MAX_MESSAGE)
    return None


def _other_processes(arguments: Mapping[str, Any]) -> list[Problem]:
    trainer = _bare(arguments)
    if trainer.world_size > 1:
        key = "num_nodes" if trainer.num_nodes > 1 else "devices"
        return [one_process(key, arguments.get(key), trainer.world_size)]
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        return [one_process("strategy", arguments.get("strategy"), 2)]
    return []


def _bare(arguments: Mapping[str, Any]) -> Trainer:
    bare: Mapping[str, Any] = {**arguments, "enable_progress_bar": False}
    return Trainer(**bare, logger=False, enable_checkpointing=False)


def make_loggers(settings: LoggerSettings, folder: Path) -> tuple[MetricsCSV, list[Logger]]:
    """The loggers that the config asks for, writing straight into `folder`: the one of all lines, and the others."""
    history = MetricsCSV(folder / "metrics.csv", is_written=settings.csv)
    if not settings.tensorboard:
        return history, []
    return history, [TensorBoard(folder, name="", version="", default_hp_metric=False)]
