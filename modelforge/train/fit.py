"""A composed config → a trained model in a folder: plan, build, train, test. Knows nothing of Hydra's run."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from rich.console import Console

import modelforge as mf
from modelforge.config import Config
from modelforge.errors import ForgeError, Problem
from modelforge.train.classifier import Classifier
from modelforge.train.data import load
from modelforge.train.divergence import Diverged, NotFinite
from modelforge.train.interrupt import Interrupts, SaveOnInterrupt
from modelforge.train.optimizers import OptimizerFactory, SchedulerFactory, parse_optimizer, parse_scheduler
from modelforge.train.progress import EpochBar
from modelforge.train.resume import KeepConfig, check_resumable
from modelforge.train.settings import Settings, parse_settings
from modelforge.train.status import write_atomically
from modelforge.train.trainers import make_loggers, make_trainer, parse_trainer
from modelforge.values import BATCH, TensorValue, Value, show

# What Lightning says of small data, of data in memory, and of a folder that Hydra has made already.
QUIET = (
    ".*does not have many workers.*",
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*Experiment logs directory .* exists and is not empty.*",
    ".*isinstance.treespec, LeafSpec.. is deprecated.*",
    ".*You are using `overfit_batches`.*|.*overfit_batches.*sequential.*",
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    ".*GPU available but not used.*",
)


@dataclass(frozen=True)
class Outcome:
    """What a finished training leaves: final metrics (best checkpoint), and how long the fitting took."""

    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Job:
    """A config that has been checked as a whole, ready to train."""

    settings: Settings
    plan: mf.Plan
    optimizer: OptimizerFactory
    scheduler: SchedulerFactory | None
    trainer: Mapping[str, Any]


def prepare(config: Config) -> Job:
    """Checks everything a run needs, before anything is allocated or written.

    Raises:
        ForgeError: all that is wrong with the model, or else with the training settings.
    """
    plan = mf.plan(mf.parse(config))
    settings, problems = parse_settings(config.values)
    optimizer, more = parse_optimizer(config.values.get("optimizer"))
    problems += more
    scheduler, more = parse_scheduler(config.values.get("scheduler"))
    problems += more
    arguments, more = parse_trainer(config.values.get("trainer", {}))
    problems += more
    if settings is not None:
        problems += _check_data(plan, settings)
    if problems:
        raise ForgeError(config.origins.locate(problem) for problem in problems)
    assert settings is not None
    assert optimizer is not None
    return Job(settings, plan, optimizer, scheduler, arguments)


def fit(config: Config, folder: Path, *, console: Console, interrupts: Interrupts) -> Outcome:
    """Trains what `config` declares; `folder` gets plan, ledger, metrics and checkpoints.

    Raises:
        ForgeError: the config is wrong.
        Diverged: a loss or gradient is not finite.
        Interrupted: the run was asked to stop; last.ckpt is saved.
    """
    job = prepare(config)
    settings = job.settings
    if settings.ckpt is not None:
        check_resumable(Path(settings.ckpt), config.values)
    console.print(str(job.plan), highlight=False)
    for warning in job.plan.warnings:
        console.print(str(warning), highlight=False, markup=False)
    _write_json(folder / "plan.json", job.plan.to_dict())
    with _quiet(), _threads(settings.num_threads):
        lightning.seed_everything(settings.seed, workers=True, verbose=False)
        model = mf.build(job.plan, seed=settings.seed)
        _write_json(folder / "ledger.json", model.ledger.to_dict())
        module = Classifier(model, settings.data.num_classes, job.optimizer, job.scheduler)
        loaders = load(settings.data, settings.seed)
        checkpoint = ModelCheckpoint(
            dirpath=folder / "checkpoints",
            filename="best",
            monitor=settings.optimized_metric,
            mode=settings.mode,
            save_last=True,
            enable_version_counter=False,
        )
        callbacks: list[Callback] = [
            SeedEpochs(settings.seed),
            KeepConfig(config.values),
            SaveOnInterrupt(interrupts, folder / "checkpoints" / "last.ckpt"),
            checkpoint,
        ]
        if job.trainer.get("enable_progress_bar", True):
            callbacks.append(EpochBar(console))
        trainer = make_trainer(
            job.trainer,
            folder=folder,
            loggers=make_loggers(settings.logger, folder),
            callbacks=callbacks,
        )
        started = time.monotonic()
        try:
            trainer.fit(module, loaders.train, loaders.val, ckpt_path=settings.ckpt, weights_only=True)
        except NotFinite as error:
            problem = _explain(error, job.plan, job.optimizer)
            raise Diverged([config.origins.locate(problem)]) from error
        seconds = time.monotonic() - started
        return Outcome(_test(trainer, module, loaders.test, checkpoint, settings), seconds)


class SeedEpochs(Callback):
    """Seeds torch's global generator at each epoch, so that dropout too is a function of `(seed, epoch)`."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: lightning.LightningModule) -> None:
        """Lightning calls this before the first batch of an epoch."""
        torch.manual_seed((self.seed * 1_000_003 + trainer.current_epoch) % 2**32)


def _test(
    trainer: Trainer, module: Classifier, loader: Any, checkpoint: ModelCheckpoint, settings: Settings
) -> dict[str, float]:
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    best = checkpoint.best_model_path or None
    if best is not None and checkpoint.best_model_score is not None:
        metrics[settings.optimized_metric] = float(checkpoint.best_model_score)
    trainer.test(module, loader, ckpt_path=best, verbose=False, weights_only=True if best else None)
    return metrics | {
        name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")
    }


def _check_data(plan: mf.Plan, settings: Settings) -> Iterator[Problem]:
    """What the data hands over must be what the model takes, and what it gives must be one score per class."""
    given = TensorValue((BATCH, *settings.data.input.shape), settings.data.input.dtype)
    if list(plan.inputs.values()) != [given]:
        takes = " and ".join(f"{value.dtype} {value}" for value in plan.inputs.values())
        message = f"the model takes {takes}, but the data gives {given.dtype} {given}"
        yield Problem("MF050", "model.input", message, "write `input: ${data.input}`")
    scores = TensorValue((BATCH, settings.data.num_classes), settings.data.input.dtype)
    if plan.output != scores:
        classes = f"the data has {settings.data.num_classes} classes"
        message = f"the model puts out {show(plan.output)}, but {classes}, so it must be {scores}"
        yield Problem("MF050", plan.root.children[-1].key, message, _way_out(plan.output), part="key")


def _way_out(output: Value) -> str:
    if not isinstance(output, TensorValue):
        return "end with a layer that gives one tensor"
    if len(output.shape) > 2:
        return "reduce it before the last layer: `Flatten`, or `Select` or `Mean` with the dimension to drop"
    return "end with `{type: Linear, out_features: ${data.num_classes}}`"


def _explain(error: NotFinite, plan: mf.Plan, optimizer: OptimizerFactory) -> Problem:
    finding = error.finding
    keys = {layer.path: layer.key for layer in plan.layers}
    layer = finding.layer
    while layer and layer not in keys:  # a module inside a torch layer
        layer = layer.rpartition(".")[0]
    rate = optimizer.arguments.get("lr")
    lower = "lower `optimizer.lr`" + ("" if rate is None else f" (now {rate:g})")
    message = f"training diverged at step {error.step}: {finding}"
    hint = f"{lower}, clip with `trainer.gradient_clip_val=1`, or start with smaller values"
    return Problem("MF052", keys.get(layer, "optimizer.lr"), message, hint, part="key")


def _write_json(path: Path, data: Any) -> None:
    write_atomically(path, json.dumps(data, indent=2) + "\n")


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning without its hints; what it warns of beyond them still comes through."""
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
