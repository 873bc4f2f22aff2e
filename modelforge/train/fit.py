"""A composed config → a trained model in a folder: plan, build, train, test. Knows nothing of Hydra's run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from rich.console import Console

from modelforge.building.build import Model, build
from modelforge.config import Config
from modelforge.core.errors import ForgeError, Problem, sentence
from modelforge.core.files import write_atomically
from modelforge.core.rng import narrow
from modelforge.linting.lint import findings
from modelforge.planning.plan import Plan
from modelforge.train.checkpoints import Checkpoints
from modelforge.train.data.module import DataModule
from modelforge.train.data.parts import Examples
from modelforge.train.data.read import read
from modelforge.train.data.source import Source
from modelforge.train.data.text import TextFiles
from modelforge.train.divergence import NotFinite
from modelforge.train.interrupt import Interrupts
from modelforge.train.keep import KeepConfig
from modelforge.train.language.epilogue import check_causal, compare, sample
from modelforge.train.learner import Learner
from modelforge.train.lengths import lengths, out_of_step, too_short
from modelforge.train.loops import started
from modelforge.train.optimizers import OptimizerFactory
from modelforge.train.prepare import Job, prepare
from modelforge.train.progress import EpochBar
from modelforge.train.proof import broken_promises
from modelforge.train.results import results
from modelforge.train.resume import ASK, adopt
from modelforge.train.save_on_interrupt import SaveOnInterrupt
from modelforge.train.seeding import SeedSteps
from modelforge.train.surroundings import quiet, threads
from modelforge.train.tasks.choose import task_of
from modelforge.train.trainers import check_trainer, complaint, make_loggers, make_trainer
from modelforge.train.words import METRICS


@dataclass(frozen=True)
class Outcome:
    """What a finished training leaves: final metrics (best checkpoint), and how long fitting and testing took."""

    metrics: Mapping[str, float]
    seconds: float
    told: tuple[str, ...] = ()
    """The results in words."""


def fit(config: Config, folder: Path, *, console: Console, interrupts: Interrupts, show_plan: bool = True) -> Outcome:
    """Trains what `config` declares; `folder` gets plan, ledger, metrics and checkpoints.

    Raises:
        ForgeError: the config or the data is wrong, a parameter did not come out as promised, or the training
            diverged: a loss or gradient is not finite.
        Interrupted: the run was asked to stop; last.ckpt is saved.
    """
    job = prepare(config)
    settings = job.settings
    if wrong := check_trainer(job.trainer):
        raise ForgeError(config.origins.locate(problem) for problem in wrong)
    examples = _read(settings.data, config, console)
    if job.start.warning:
        console.print(str(config.origins.locate(job.start.warning)), markup=False, soft_wrap=True)
    if show_plan:
        _show(job.plan, console)
    _check_lengths(job, config, len(examples.train), console)
    _write_json(folder / "plan.json", job.plan.to_dict())
    _write_json(folder / "preprocessing.json", {"data": settings.data.model_dump(mode="json"), **examples.fitted})
    with quiet(), threads(settings.num_threads):
        lightning.seed_everything(narrow(settings.seed), workers=True, verbose=False)
        module = Learner(
            _build(job, folder), task_of(settings.data), METRICS[settings.data.task], job.optimizer, job.scheduler
        )
        text = settings.data if isinstance(settings.data, TextFiles) else None
        if text and (problem := check_causal(module.model, text, examples)):
            raise ForgeError([config.origins.locate(problem)])
        position = job.start.position
        data = DataModule(settings.data, examples, settings.seed, skip=(position.epoch, position.num_batches))
        adopt(job.start, folder / "checkpoints")
        history, others = make_loggers(settings.logger, folder)
        checkpoints = Checkpoints(folder / "checkpoints", settings.metric, history, job.start)
        callbacks = _callbacks(job, config, checkpoints, interrupts, console)
        trainer = make_trainer(job.trainer, folder=folder, loggers=[history, *others], callbacks=callbacks)
        started = time.monotonic()
        _run(trainer, module, data, job, config)
        metrics = _test(trainer, module, data, checkpoints)
        seconds = time.monotonic() - started
        if text:
            sample(module.model, text, examples, seed=settings.seed, folder=folder, console=console)
            metrics |= compare(examples)
        return Outcome(metrics, seconds, tuple(results(settings.data, metrics)))


def _read(source: Source, config: Config, console: Console) -> Examples:
    try:
        examples = read(source)
    except ForgeError as error:
        raise ForgeError(config.origins.locate(problem) for problem in error.problems) from error
    for warning in examples.warnings:
        console.print(str(config.origins.locate(warning)), markup=False, soft_wrap=True)
    return examples


def _check_lengths(job: Job, config: Config, rows: int, console: Console) -> None:
    length = lengths(job.settings.data, job.trainer, rows=rows)
    found = [*out_of_step(job.scheduler, length), *too_short(job.plan, job.settings.data, length)]
    if wrong := [problem for problem in found if problem.severity == "error"]:
        raise ForgeError(config.origins.locate(problem) for problem in wrong)
    for warning in found:
        console.print(str(config.origins.locate(warning)), markup=False, soft_wrap=True)


def _show(plan: Plan, console: Console) -> None:
    console.print(plan.table())
    for warning in findings(plan):
        console.print(str(warning), markup=False, soft_wrap=True)
    console.print()


def _build(job: Job, folder: Path) -> Model:
    """The model, and its ledger in the run's folder, whatever that says."""
    model = build(job.plan, seed=job.settings.seed)
    _write_json(folder / "ledger.json", model.ledger.to_dict())
    if broken := tuple(broken_promises(job.plan, model.ledger)):
        raise ForgeError(job.plan.origins.locate(problem) for problem in broken)
    return model


def _callbacks(
    job: Job, config: Config, checkpoints: Checkpoints, interrupts: Interrupts, console: Console
) -> list[Callback]:
    callbacks: list[Callback] = [
        SeedSteps(job.settings.seed),
        KeepConfig(config.values),
    ]
    if not job.trainer.get("fast_dev_run"):  # a dry run has nothing to keep
        callbacks.append(checkpoints)
    if job.trainer.get("enable_progress_bar", True):
        callbacks.append(EpochBar(console, METRICS[job.settings.data.task]))
    return [*callbacks, SaveOnInterrupt(interrupts, checkpoints)]


def _run(trainer: Trainer, module: Learner, data: DataModule, job: Job, config: Config) -> None:
    try:
        trainer.fit(module, datamodule=data, ckpt_path=job.settings.ckpt, weights_only=True)
    except NotFinite as error:
        problem = _explain(error, job.plan, job.optimizer)
        raise ForgeError([config.origins.locate(problem)]) from error
    except ForgeError:
        raise
    except Exception as error:
        if job.start.ckpt is not None and not started(trainer):  # of all kinds: what is in the file is foreign
            message = f"`{job.start.ckpt}` is damaged: {sentence(error)}"
            raise ForgeError([config.origins.locate(Problem("MF051", "ckpt", message, ASK))]) from error
        known = isinstance(error, MisconfigurationException | ValueError)
        problem = complaint(error, job.trainer) if known else None
        if problem is None:
            raise
        raise ForgeError([config.origins.locate(problem)]) from error


def _test(trainer: Trainer, module: Learner, data: DataModule, checkpoints: Checkpoints) -> dict[str, float]:
    score = checkpoints.best_score
    if score is None:  # nothing was kept, as with fast_dev_run
        score = trainer.callback_metrics.get(checkpoints.metric)
    metrics = {} if score is None else {checkpoints.metric: float(score)}
    best = checkpoints.best
    trainer.test(module, datamodule=data, ckpt_path=best, verbose=False, weights_only=True if best else None)
    return metrics | {
        name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")
    }


def _explain(error: NotFinite, plan: Plan, optimizer: OptimizerFactory) -> Problem:
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
