"""A composed config → a trained model in a folder: plan, build, train, test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import lightning
from lightning import Callback, Trainer
from rich.console import Console

from modelforge.building.build import Model, build
from modelforge.building.entries import LedgerEntry
from modelforge.building.ledger import Ledger
from modelforge.config import Config
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.quoting import sentence
from modelforge.core.rng import narrow
from modelforge.core.torch_state import threads
from modelforge.core.words import number
from modelforge.linting.lint import findings
from modelforge.planning.plan import Plan
from modelforge.runs.environment import complete
from modelforge.train.arguments import misuse
from modelforge.train.checkpoints import Checkpoints, started
from modelforge.train.context import Context
from modelforge.train.data.digest import digest
from modelforge.train.data.module import DataModule
from modelforge.train.data.parts import Examples
from modelforge.train.data.read import read
from modelforge.train.diagnosed import FILE, write_diagnosis
from modelforge.train.divergence import NotFinite
from modelforge.train.examined import Examined
from modelforge.train.hooks.interrupts import SaveOnInterrupt
from modelforge.train.hooks.start import RecordStart
from modelforge.train.hooks.steps import LogSteps, SeedSteps
from modelforge.train.interrupt import Interrupts
from modelforge.train.learner import Learner
from modelforge.train.lengths import lengths, out_of_step, too_short
from modelforge.train.optimizers.optimizer import OptimizerFactory
from modelforge.train.prepare import Job, located, prepare
from modelforge.train.preprocessing import write_preprocessing
from modelforge.train.progress import EpochBar
from modelforge.train.resume import ASK, adopt
from modelforge.train.rows import Rows
from modelforge.train.tasks.task import Task
from modelforge.train.trackers.history import history_of
from modelforge.train.trainer import check_trainer, complaint, device_of, make_trainer, quiet


@dataclass(frozen=True)
class Outcome:
    """What a finished training leaves."""

    metrics: Mapping[str, float]
    """Of the test part, by the best checkpoint."""
    seconds: float
    """Of training and testing."""
    words: tuple[str, ...] = ()
    """The results, for the last line."""


def fit(
    config: Config,
    folder: Path,
    *,
    console: Console,
    interrupts: Interrupts,
    note: Callable[[Problem], object],
    show_plan: bool = True,
) -> Outcome:
    """Trains what `config` declares; `folder` gets plan, ledger, metrics and checkpoints.

    Args:
        config: The composed config.
        folder: The run folder.
        console: Where plan, progress and warnings are printed.
        interrupts: What stops it.
        note: Called with each warning.
        show_plan: Whether to print the plan, and what is to be said of it, and to write the page of the diagnosis.

    Raises:
        ForgeError: the config or the data is wrong, a parameter did not come out as promised, or the training
            diverged: a loss or gradient is not finite.
        Interrupted: the run was asked to stop; last.ckpt is saved.
    """

    def warn(problem: Problem, *, shown: bool = True) -> None:
        found = config.origins.locate(problem)
        note(found)
        if shown:
            console.print(str(found), markup=False, soft_wrap=True)

    with located(config):
        job = prepare(config)
        settings = job.settings
        if wrong := check_trainer(job.trainer, capturable=job.optimizer.capturable):
            raise ForgeError(wrong)
        examples = read(settings.data)
        for problem in filter(None, (*job.warnings, *examples.warnings, job.start.warning)):
            warn(problem)
        if show_plan:
            console.print(job.plan.table())
        for problem in findings(job.plan):
            warn(problem, shown=show_plan)
        if show_plan:
            console.print()
        for problem in _check_lengths(job, len(examples.train)):
            warn(problem)
        _write_json(folder / "plan.json", job.plan.to_dict())
        found = digest(examples)
        complete(folder, data=found)
        source = settings.data.model_copy(update={"task": settings.data.task.prepared(examples)})
        write_preprocessing(folder, source, {**examples.fitted, "digest": found})
        with quiet(), threads(settings.num_threads):
            return _fit(job, source.task, config, examples, folder, console, interrupts, diagnosed=show_plan)


def _fit(
    job: Job,
    task: Task,
    config: Config,
    examples: Examples,
    folder: Path,
    console: Console,
    interrupts: Interrupts,
    *,
    diagnosed: bool,
) -> Outcome:
    settings, position = job.settings, job.start.position
    lightning.seed_everything(narrow(settings.seed), workers=True, verbose=False)
    length = lengths(settings.data, job.trainer, rows=len(examples.train))
    scheduler = job.scheduler and job.scheduler.over(length.horizon(job.scheduler.interval))
    model = _build(job, folder)
    if diagnosed and settings.diagnose:
        reason = write_diagnosis(job.plan, model, config.overrides, folder)
        if reason.severity != "none":
            console.print(f"{FILE}: {reason.sentence}", markup=False, highlight=False, soft_wrap=True)
    module = Learner(model, task, settings.data, job.optimizer, scheduler, settings.factories, job.freezing)
    if problems := [*task.check(model, examples, settings.data)]:
        raise ForgeError(problems)
    if job.trainer.get("compile"):
        model.compile()  # in place: checkpoints keep the names of the parameters
    data = DataModule(settings.data, examples, settings.seed, skip=(position.epoch, position.num_batches))
    adopt(job.start, folder / "checkpoints")
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    context = Context(job.terms, folder, job.plan, model.ledger, config.values, Rows(), say)
    hooks = [callback.make(context) for callback in settings.callbacks.values()]
    is_dry = bool(job.trainer.get("fast_dev_run"))
    with history_of({} if is_dry else settings.logger, context) as history:  # a dry run has nothing to keep
        checkpoints = Checkpoints(
            folder / "checkpoints",
            settings.metric,
            context.mode,
            history,
            job.start,
            config.values,
            settings.checkpoint.every_n_steps,
        )
        callbacks: list[Callback] = [SeedSteps(settings.seed), LogSteps(), *hooks]
        if not is_dry:
            callbacks += [RecordStart(job.plan, folder), checkpoints]
        if job.trainer.get("enable_progress_bar", True):
            callbacks.append(EpochBar(console, task.metric))
        callbacks += [Examined(task, examples.fitted, folder), SaveOnInterrupt(interrupts, checkpoints)]
        trainer = make_trainer(job.trainer, folder=folder, loggers=[history, *history.others], callbacks=callbacks)
        complete(folder, device=device_of(trainer))
        started = time.monotonic()
        _train(trainer, module, data, job)
        metrics = _test(trainer, module, data, checkpoints)
        seconds = time.monotonic() - started
    metrics |= task.finish(model, examples, metrics, seed=settings.seed, folder=folder, console=console)
    return Outcome(metrics, seconds, tuple(task.results(metrics, examples)))


def _check_lengths(job: Job, rows: int) -> list[Problem]:
    """The warnings about the length of the training.

    Raises:
        ForgeError: it would go wrong.
    """
    length = lengths(job.settings.data, job.trainer, rows=rows)
    found = [*out_of_step(job.scheduler, length), *job.freezing.late(length.horizon("epoch"))]
    found += too_short(job.plan, job.settings.data, length)
    if wrong := [problem for problem in found if problem.severity == "error"]:
        raise ForgeError(wrong)
    return found


def _build(job: Job, folder: Path) -> Model:
    """The model; its ledger is in the run's folder even where a promise is broken."""
    model = build(job.plan, seed=job.settings.seed)
    _write_json(folder / "ledger.json", model.ledger.to_dict())
    if broken := tuple(broken_promises(job.plan, model.ledger)):
        raise ForgeError(broken)
    return model


def _train(trainer: Trainer, module: Learner, data: DataModule, job: Job) -> None:
    try:
        trainer.fit(module, datamodule=data, ckpt_path=job.settings.ckpt, weights_only=True)
    except NotFinite as error:
        raise ForgeError([_explain(error, job.plan, job.optimizer)]) from error
    except ForgeError:
        raise
    except Exception as error:
        if job.start.ckpt is not None and not started(trainer):  # of all kinds: what is in the file is foreign
            message = f"`{job.start.ckpt}` is damaged: {sentence(error)}"
            raise ForgeError([misuse("ckpt", message, ASK)]) from error
        problem = complaint(error, job.trainer)
        if problem is None:
            raise
        raise ForgeError([problem]) from error


def _test(trainer: Trainer, module: Learner, data: DataModule, checkpoints: Checkpoints) -> dict[str, float]:
    score = checkpoints.best_score
    if score is None:  # nothing was kept, as with fast_dev_run
        score = trainer.callback_metrics.get(checkpoints.metric)
    best = checkpoints.best
    trainer.test(module, datamodule=data, ckpt_path=best, verbose=False, weights_only=True if best else None)
    tested = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
    return ({} if score is None else {checkpoints.metric: float(score)}) | tested


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


def broken_promises(plan: Plan, ledger: Ledger) -> Iterator[Problem]:
    """One problem for each parameter that did not come out as promised, at the init block that won.

    Args:
        plan: What was built.
        ledger: What came out.
    """
    for entry in ledger.failures:
        parameter = plan.parameter(entry.path)
        key = parameter.key if parameter.rule.default else entry.rule
        hint = f"change the fields of `{entry.scheme}`, correct its code, or choose another scheme"
        yield Problem("MF028", key, _message(entry), hint, entry.place)


def _message(entry: LedgerEntry) -> str:
    mean, std = entry.measured_mean, entry.measured_std
    if mean is None or std is None or not (isfinite(mean) and isfinite(std)):
        return f"`{entry.path}` holds values that are not finite"
    wanted_mean = _within(entry.target_mean, entry.mean_tolerance)
    wanted_std = _within(entry.target_std, entry.std_tolerance)
    if entry.reason and not entry.reason.startswith(("a mean of", "a std of")):
        return f"`{entry.path}` has {entry.reason}, which a sound `{entry.scheme}` does not give"
    blocks = "" if entry.std_tolerance is not None else ", in each of its matrices"
    measured = f"`{entry.path}` has mean {number(mean)} and std {number(std)}"
    return f"{measured}, but `{entry.scheme}` promises mean {wanted_mean} and std {wanted_std}{blocks}"


def _within(target: float | None, tolerance: float | None) -> str:
    return number(target) if tolerance is None else f"{number(target)} ± {tolerance:.2g}"


def _write_json(path: Path, data: Any) -> None:
    write_atomically(path, json.dumps(data, indent=2) + "\n")
