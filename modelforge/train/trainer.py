"""Checked arguments → a `lightning.Trainer`, or what Lightning refuses of them."""

from __future__ import annotations

import logging
import os
import re
import shutil
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.precision import HalfPrecision
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from torch import nn

from modelforge.core.errors import Problem
from modelforge.core.quoting import MAX_MESSAGE, sentence
from modelforge.train.arguments import misuse
from modelforge.train.checkpoints import AtomicIO
from modelforge.train.trainer_settings import for_lightning, one_process

COMPILERS = ("g++", "clang++")

# Hints about small data, data in memory, a resumed run, and one cycle over whole epochs.
QUIET = (
    ".*does not have many workers.*",
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*The dirpath has changed from .*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*isinstance.treespec, LeafSpec.. is deprecated.*",
    ".*You are using `overfit_batches`.*|.*overfit_batches.*sequential.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # `best.ckpt` by another metric
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    ".*GPU available but not used.*",
    ".*OneCycleLR.* scheduler is using 'interval': 'epoch'.*",
)


class NarrowModel(HalfPrecision):
    """Converts the model alone: Lightning's narrows targets and the sums of metrics too, which then stop growing."""

    def convert_module(self, module: nn.Module) -> nn.Module:
        model = module.model
        assert isinstance(model, nn.Module)
        model.to(dtype=self._desired_input_dtype)
        return module

    def convert_input(self, data: Any) -> Any:
        return data  # `read_by` converts what the model reads

    @contextmanager
    def forward_context(self) -> Generator[None]:
        yield  # the default dtype stays


def with_precision(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for Lightning, with the plugin that stands for a `precision` of the whole model, as `bf16-true`."""
    given = for_lightning(arguments)
    if given.get("precision") in ("bf16-true", "16-true"):
        return {**given, "precision": None, "plugins": [NarrowModel(given["precision"])]}
    return given


def make_trainer(
    arguments: Mapping[str, Any], *, folder: Path, loggers: list[Logger], callbacks: list[Callback]
) -> Trainer:
    """A trainer that writes to `folder`; `check_trainer` has found nothing wrong with its arguments."""
    given = with_precision(arguments)
    plugins: list[Any] = [*given.pop("plugins", ()), AtomicIO()]
    return Trainer(
        **{**given, "enable_progress_bar": arguments.get("enable_progress_bar", True)},
        default_root_dir=folder,
        logger=loggers,
        plugins=plugins,
        callbacks=callbacks,
        enable_model_summary=False,
        enable_autolog_hparams=False,
    )


def check_trainer(arguments: Mapping[str, Any]) -> list[Problem]:
    """What Lightning refuses of a `trainer` section on this machine, and more processes than one; writes nothing."""
    bare: Mapping[str, Any] = {**for_lightning(arguments), "enable_progress_bar": False}
    try:
        with quiet():
            trainer = Trainer(**bare, logger=False, enable_checkpointing=False)
    except Exception as error:  # of all kinds: it asks the machine, too
        return [refused(error, arguments)]
    if trainer.world_size > 1:
        key = "num_nodes" if trainer.num_nodes > 1 else "devices"
        return [one_process(key, arguments.get(key), trainer.world_size)]
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        return [one_process("strategy", arguments.get("strategy"), 2)]
    return [*_check_compiler(arguments)]


def _check_compiler(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """The problem of a machine without what torch.compile needs."""
    if arguments.get("compile") and not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))):
        message = f"`compile` needs a C++ compiler, but this machine has none of {', '.join(COMPILERS)}"
        yield misuse("trainer.compile", message, "install one, or write `trainer.compile=false`")


def refused(error: Exception, arguments: Mapping[str, Any]) -> Problem:
    """What Lightning refuses, in its own words, at the first argument that these name, if they name one."""
    text = sentence(error, MAX_MESSAGE)
    # `devices` is an English word too, `max_epochs` is not.
    names = {key: rf"\b{key}\b" if "_" in key else rf"`{key}`|\b{key}=" for key in arguments}
    named = {at.start(): key for key, name in names.items() if (at := re.search(name, text))}
    key = f"trainer.{named[min(named)]}" if named else "trainer"
    return misuse(key, f"Lightning refuses {'this' if named else 'these settings'}: {text}")


def complaint(error: Exception, arguments: Mapping[str, Any]) -> Problem | None:
    """What Lightning refuses when a training starts; None for an error that is not about the arguments."""
    problem = refused(error, arguments)
    is_one = isinstance(error, MisconfigurationException)
    return problem if is_one or (isinstance(error, ValueError) and problem.path != "trainer") else None


def device_of(trainer: Trainer) -> str:
    """The device that a trainer uses, with its name where it has one."""
    device = trainer.strategy.root_device
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


@contextmanager
def quiet() -> Generator[None]:
    """Lightning without its hints; all its other warnings still come through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
