"""A composed config → a trained model in a folder: plan, build, train, test."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import lightning
import torch
from lightning import Callback, Trainer
from rich.console import Console

from modelforge.building.build import Model, build
from modelforge.config import Config
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.plugins import imported
from modelforge.core.quoting import sentence
from modelforge.core.rng import narrow
from modelforge.core.torch_state import threads
from modelforge.core.words import plural
from modelforge.linting.lint import findings
from modelforge.planning.plan import Plan
from modelforge.runs.environment import complete
from modelforge.train.arguments import misuse
from modelforge.train.checkpoints import Checkpoints, started
from modelforge.train.context import Context
from modelforge.train.data.dealing import Hand
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
from modelforge.train.lengths import Lengths, lengths, out_of_step, too_short
from modelforge.train.optimizers.optimizer import OptimizerFactory
from modelforge.train.parallel.meeting import Meeting
from modelforge.train.parallel.place import Place
from modelforge.train.parallel.processes import leading
from modelforge.train.parallel.replicas import agreed_digest
from modelforge.train.parallel.sharding import mesh_of, shards
from modelforge.train.parallel.team import ALONE, Order, Team
from modelforge.train.prepare import Job, located, prepare
from modelforge.train.preprocessing import write_preprocessing
from modelforge.train.progress import EpochBar
from modelforge.train.promises import broken_promises
from modelforge.train.resume import ASK, adopt
from modelforge.train.rows import Rows
from modelforge.train.tasks.task import Task
from modelforge.train.trackers.history import history_of
from modelforge.train.trainer import check_trainer, complaint, device_of, make_trainer, quiet, size_of


@dataclass(frozen=True)
class Outcome:
    """What a finished training leaves."""

    metrics: Mapping[str, float]
    """Of the test part, by the best checkpoint."""
    seconds: float
    """Of training and testing."""
    words: tuple[str, ...] = ()
    """The results, for the last line."""
    pruned: bool = False
    """Whether it ended before its last epoch, since other trials of a search did better."""


def fit(
    config: Config,
    folder: Path,
    *,
    console: Console,
    interrupts: Interrupts,
    note: Callable[[Problem], object],
    show_plan: bool = True,
    meeting: Meeting | None = None,
) -> Outcome:
    """Trains what `config` declares; `folder` gets plan, ledger, metrics and checkpoints.

    Args:
        config: The composed config.
        folder: The run folder.
        console: Where plan, progress and warnings are printed.
        interrupts: What stops it.
        note: Called with each warning.
        show_plan: Whether to print the plan, and what is to be said of it, and to write the page of the diagnosis.
        meeting: Where this process meets the first of several, which alone writes and prints; None for the first.

    Raises:
        ForgeError: the config or the data is wrong, a parameter did not come out as promised, or the training
            diverged: a loss or gradient is not finite.
        Interrupted: the run was asked to stop; last.ckpt is saved.
    """
    with located(config):
        job = prepare(config)
        if wrong := check_trainer(job.trainer, capturable=job.optimizer.capturable):
            raise ForgeError(wrong)
        run = Running(config, folder, console, interrupts, note, show_plan)
        size = size_of(job.trainer, meeting.place if meeting else None)
        if not size.is_parallel:
            return _begin(job, run, lambda: ALONE)
        meet = partial(Meeting.meet, device=size.device, sharded=size.strategy == "fsdp")
        if meeting is not None:
            team = meet(meeting)  # the first has read the data, and what it keeps of it is there
            return _begin(job, run, lambda: team, meeting.place)
        with leading(_order(config, folder), size.number) as (meeting, others):
            return _begin(job, run, lambda: meet(meeting, check=others.check), meeting.place)


@dataclass(frozen=True)
class Running:
    """What `fit` got."""

    config: Config
    folder: Path
    console: Console
    interrupts: Interrupts
    note: Callable[[Problem], object]
    show_plan: bool

    def warn(self, problem: Problem, *, shown: bool = True) -> None:
        """Notes a warning, and prints it."""
        found = self.config.origins.locate(problem)
        self.note(found)
        if shown:
            self.say(str(found))

    def say(self, line: str) -> None:
        """Prints a line."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _order(config: Config, folder: Path) -> Order:
    """What the other processes need of this run."""
    return Order(config.values, str(folder.absolute()), imported(), tuple(filter(None, sys.path)))


def _begin(job: Job, run: Running, meet: Callable[[], Team], place: Place | None = None) -> Outcome:
    settings, folder = job.settings, run.folder
    examples = read(settings.data)
    for problem in filter(None, (*job.warnings, *examples.warnings, job.start.warning)):
        run.warn(problem)
    if run.show_plan:
        run.console.print(job.plan.table())
    for problem in findings(job.plan):
        run.warn(problem, shown=run.show_plan)
    if run.show_plan:
        run.console.print()
    found = digest(examples)
    team = meet()
    length = lengths(settings.data, job.trainer, rows=len(examples.train), processes=team.size)
    for problem in _check_lengths(job, length):
        run.warn(problem)
    if team.size > 1:
        run.say(f"batch: {length.batch_words} examples")
        _check_data(found, len(examples.train), team)
    source = settings.data.model_copy(update={"task": settings.data.task.prepared(examples)})
    if team.leads:
        _write_json(folder / "plan.json", job.plan.to_dict())
        complete(folder, data=found)
        write_preprocessing(folder, source, {**examples.fitted, "digest": found})
    with quiet(), threads(settings.num_threads):
        return _fit(job, source.task, run, examples, length, team, place)


def _check_data(found: str, rows: int, team: Team) -> None:
    """Checks that all processes read the same data, and that there is enough of it.

    Raises:
        ForgeError: they did not, or there is not.
    """
    if other := next((rank for rank, one in enumerate(team.gathered(found)) if one != found), None):
        message = f"process {other} of {team.size} reads other data than process 0: its digest differs"
        hint = "give all machines the same files, in one folder that they share"
        raise ForgeError([Problem("MF054", "data", message, hint, part="key")])
    if rows < team.size:
        message = f"{plural(rows, 'example')} to train on cannot be dealt to {team.size} processes"
        raise ForgeError([misuse("trainer.devices", message, "choose fewer processes")])


def _fit(
    job: Job, task: Task, run: Running, examples: Examples, length: Lengths, team: Team, place: Place | None
) -> Outcome:
    settings, position, folder = job.settings, job.start.position, run.folder
    lightning.seed_everything(narrow(settings.seed), workers=True, verbose=False)
    scheduler = job.scheduler and job.scheduler.over(length.horizon(job.scheduler.interval))
    model = _build(job, folder, team)
    if run.show_plan and settings.diagnose:
        said = write_diagnosis(job.plan, model, run.config.overrides, folder, measure=not team.sharded)
        if said:
            run.say(f"{FILE}: {said}")
    if team.size > 1:
        copies = job.trainer.get("num_replicas", 1) if team.sharded else team.size
        run.say(f"initial values: digest {agreed_digest(model, team, copies)}, equal on {team.size} ranks")
    module = Learner(model, task, settings.data, job.optimizer, scheduler, settings.factories, job.freezing, team=team)
    job.freezing.apply(model, position.epoch)
    if problems := [*task.check(model, examples, settings.data)]:
        raise ForgeError(problems)
    if job.trainer.get("compile"):
        model.compile()  # in place: checkpoints keep the names of the parameters
    skip, hand = (position.epoch, position.num_batches), Hand(team.rank, team.size)
    data = DataModule(settings.data, examples, settings.seed, skip=skip, hand=hand)
    if team.leads:
        adopt(job.start, folder / "checkpoints")
    pruned = Event()
    context = Context(job.terms, folder, job.plan, model.ledger, run.config.values, Rows(), run.say, pruned.set)
    hooks = [callback.make(context) for callback in settings.callbacks.values()]
    is_dry = bool(job.trainer.get("fast_dev_run"))
    silent = is_dry or not team.leads  # a dry run has nothing to keep
    with history_of({} if silent else settings.logger, context) as history:
        checkpoints = Checkpoints(
            folder / "checkpoints",
            settings.metric,
            context.mode,
            history,
            job.start,
            run.config.values,
            settings.checkpoint.every_n_steps,
            team.size,
        )
        callbacks: list[Callback] = [SeedSteps(settings.seed, team), LogSteps(team), *hooks]
        if not is_dry:
            callbacks += [RecordStart(job.plan, folder), checkpoints]
        if job.trainer.get("enable_progress_bar", True):
            callbacks.append(EpochBar(run.console, task.metric))
        callbacks += [
            SaveOnInterrupt(run.interrupts, checkpoints, team),
            Examined(task, examples.fitted, folder, team),
        ]
        loggers = [history, *history.others]
        trainer = make_trainer(
            job.trainer,
            folder=folder,
            loggers=loggers,
            callbacks=callbacks,
            place=place,
            some_thaw=bool(job.freezing.thaws),
        )
        if team.leads:
            complete(folder, device=device_of(trainer))
        started = time.monotonic()
        _train(trainer, module, data, job)
        metrics = _test(trainer, module, data, checkpoints)
        seconds = time.monotonic() - started
    with nullcontext(folder) if team.leads else TemporaryDirectory() as own:
        # All processes: each runs its part of a sharded model.
        finish = partial(task.finish, model, examples, metrics, seed=settings.seed)
        metrics |= finish(folder=Path(own), console=run.console)
    return Outcome(metrics, seconds, tuple(task.results(metrics, examples)), pruned.is_set())


def _check_lengths(job: Job, length: Lengths) -> list[Problem]:
    """The warnings about the length of the training.

    Raises:
        ForgeError: it would go wrong.
    """
    found = [*out_of_step(job.scheduler, length), *job.freezing.late(length.horizon("epoch"))]
    found += too_short(job.plan, job.settings.data, length)
    if wrong := [problem for problem in found if problem.severity == "error"]:
        raise ForgeError(wrong)
    return found


def _build(job: Job, folder: Path, team: Team) -> Model:
    """The model; its ledger is in the run's folder even where a promise is broken."""
    if team.sharded:
        kind = "cuda" if torch.cuda.is_available() and job.trainer.get("accelerator") != "cpu" else "cpu"
        mesh = mesh_of(team.size, job.trainer.get("num_replicas", 1), kind)
        model = build(job.plan, seed=job.settings.seed, device=kind, shard=shards(mesh))
    else:
        model = build(job.plan, seed=job.settings.seed)
    if team.leads:
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


def _write_json(path: Path, data: Any) -> None:
    write_atomically(path, json.dumps(data, indent=2) + "\n")
