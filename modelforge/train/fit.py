"""A composed config → a trained model in a folder: plan, build, train, test."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
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
from modelforge.building.promises import broken_promises
from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.plugins import imported
from modelforge.core.quoting import sentence
from modelforge.core.rng import narrow
from modelforge.core.torch_state import threads
from modelforge.linting.lint import findings
from modelforge.runs.environment import complete
from modelforge.train.arguments import misuse
from modelforge.train.checkpoints import Checkpoints, started
from modelforge.train.context import Context
from modelforge.train.data.digest import digest, settings_hash
from modelforge.train.data.distributed_samplers import DataShard
from modelforge.train.data.module import DataModule
from modelforge.train.data.parts import Examples
from modelforge.train.data.read import read
from modelforge.train.data.shared import shared
from modelforge.train.diagnosed import FILE, write_diagnosis
from modelforge.train.divergence import NotFinite, diverged
from modelforge.train.examined import Examined, uncomputed, unscored
from modelforge.train.hooks.interrupts import SaveOnInterrupt
from modelforge.train.hooks.start import RecordStart
from modelforge.train.hooks.steps import LogSteps, SeedSteps
from modelforge.train.interrupt import Interrupts
from modelforge.train.learner import Learner
from modelforge.train.lengths import Lengths, lengths, out_of_step, too_short, too_short_to_evaluate, unmeasured
from modelforge.train.misdeclared import prepared
from modelforge.train.parallel.launch import Launch
from modelforge.train.parallel.rendezvous import Rendezvous
from modelforge.train.parallel.replicas import agreed_digest, check_dealt
from modelforge.train.parallel.workers import run_workers
from modelforge.train.parallel.world import SINGLE_PROCESS, RunSpec, World
from modelforge.train.prepare import Job, located, settled
from modelforge.train.preprocessing import write_preprocessing
from modelforge.train.progress import EpochBar, of_optimized
from modelforge.train.resume import ASK, adopt, behind_its_epoch, check_data
from modelforge.train.rows import Rows
from modelforge.train.settings import training_of
from modelforge.train.siblings import on_other_data
from modelforge.train.tasks.task import Task
from modelforge.train.trackers.history import History, history_of
from modelforge.train.trainer import check_trainer, complaint, device_of, make_trainer, quiet, size_of, substituted
from modelforge.train.validations import without_validation


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
    siblings: Sequence[Path] = (),
    rendezvous: Rendezvous | None = None,
) -> Outcome:
    """Trains what `config` declares; `folder` gets plan, ledger, metrics and checkpoints.

    Args:
        config: The composed config.
        folder: The run folder.
        console: Where plan, progress and warnings are printed.
        interrupts: What stops it.
        note: Called with each warning.
        show_plan: Whether to print the plan, and what is to be said of it, and to write the page of the diagnosis.
        siblings: The folders of other jobs of its sweep.
        rendezvous: Of a worker with rank 0, which alone writes and prints; None in rank 0.

    Raises:
        ForgeError: the config or the data is wrong, a parameter did not come out as promised, or the training
            diverged: a loss or gradient is not finite.
        Interrupted: the run was asked to stop; last.ckpt is saved.
    """
    with located(config):
        job = prepared(config)
        if wrong := check_trainer(job.trainer, job.optimizer):
            raise ForgeError(wrong)
        run = Running(config, folder, console, interrupts, note, show_plan, siblings)
        size = size_of(job.trainer, rendezvous.launch if rendezvous else None)
        for problem in substituted(job.trainer, size.device):
            run.warn(problem)
        if not size.is_parallel:
            return _begin(job, run, lambda: SINGLE_PROCESS)
        join = partial(Rendezvous.join, device=size.device, sharded=size.strategy == "fsdp")
        if rendezvous is not None:
            world = join(rendezvous)  # rank 0 has read the data, and its cache is there
            return _begin(job, run, lambda: world, rendezvous.launch)
        with run_workers(run_spec(config, folder), size.number) as (rendezvous, workers):
            return _begin(job, run, lambda: join(rendezvous, check=workers.check), rendezvous.launch)


@dataclass(frozen=True)
class Running:
    """What `fit` got."""

    config: Config
    folder: Path
    console: Console
    interrupts: Interrupts
    note: Callable[[Problem], object]
    show_plan: bool
    siblings: Sequence[Path]

    def warn(self, problem: Problem, *, shown: bool = True) -> None:
        """Notes a warning, and prints it."""
        found = self.config.origins.locate(problem)
        self.note(found)
        if shown:
            self.say(str(found))

    def say(self, line: str) -> None:
        """Prints a line."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def run_spec(config: Config, folder: Path) -> RunSpec:
    """What the workers need of this run. They do not know where its values were written."""
    return RunSpec(settled(config).values, str(folder.absolute()), imported(), tuple(filter(None, sys.path)))


def _begin(job: Job, run: Running, join: Callable[[], World], launch: Launch | None = None) -> Outcome:
    settings, folder = job.settings, run.folder
    examples = read(settings.data)
    examples = replace(examples, fitted={**examples.fitted, "digest": digest(examples)})
    for problem in filter(None, (*job.warnings, *examples.warnings, *shared(examples), job.start.warning)):
        run.warn(problem)
    if run.show_plan:
        run.console.print(job.plan.table())
    for problem in findings(job.plan, training_of(run.config.values)):
        run.warn(problem, shown=run.show_plan)
    if run.show_plan:
        run.console.print()
    world = join()
    length = lengths(settings.data, job.trainer, rows=len(examples.train), processes=world.size)
    for problem in _check_lengths(job, length, examples):
        run.warn(problem)
    if world.size > 1:
        run.say(f"batch: {length.batch_words} examples")
        check_dealt(examples, world)
    check_data(job.start, examples, settings.data)
    source = settings.data.model_copy(update={"task": settings.data.task.prepared(examples, settings.data)})
    if world.is_rank_zero:
        _write_json(folder / "plan.json", job.plan.to_dict())
        known = {"data": examples.fitted["digest"], "data_settings": settings_hash(run.config.values["data"])}
        for problem in on_other_data(run.siblings, *known.values()):
            run.warn(problem)
        complete(folder, **known)
        write_preprocessing(folder, source, examples.fitted)
    with quiet(), threads(settings.num_threads):
        return _fit(job, source.task, run, examples, length, world, launch)


def _fit(
    job: Job, task: Task, run: Running, examples: Examples, length: Lengths, world: World, launch: Launch | None
) -> Outcome:
    settings, position, folder = job.settings, job.start.position, run.folder
    lightning.seed_everything(narrow(settings.seed), workers=True, verbose=False)
    model = _start(job, run, world)
    scheduler = job.scheduler and job.scheduler.over(length.horizon(job.scheduler.interval))
    module = Learner(
        model, task, settings.data, job.optimizer, scheduler, settings.factories, job.freezing, world=world
    )
    job.freezing.apply(model, position.epoch)
    if problems := [*task.check(model, examples, settings.data)]:
        raise ForgeError(problems)
    if job.trainer.get("compile"):
        model.compile()  # in place: checkpoints keep the names of the parameters
    skip, shard = (position.epoch, position.num_batches), DataShard(world.rank, world.size)
    data = DataModule(settings.data, examples, settings.seed, skip=skip, shard=shard)
    if world.is_rank_zero:
        adopt(job.start, folder / "checkpoints")
    pruned = Event()
    context = Context(job.terms, folder, job.plan, model.ledger, run.config.values, Rows(), run.say, pruned.set)
    hooks = [callback.make(context) for callback in settings.callbacks.values()]
    is_silent = bool(job.trainer.get("fast_dev_run")) or not world.is_rank_zero  # a dry run has nothing to keep
    with history_of({} if is_silent else settings.logger, context) as history:
        checkpoints = _checkpoints(job, context, history, world, examples.fitted["digest"])
        trainer = make_trainer(
            job.trainer,
            folder=folder,
            loggers=[history, *history.others],
            callbacks=[
                *_callbacks(job, run, hooks, checkpoints, world, shown=task.metric),
                SaveOnInterrupt(run.interrupts, checkpoints, world),
                Examined(task, examples.fitted, folder, examples.places, world),
            ],
            launch=launch,
            some_thaw=bool(job.freezing.thaws),
        )
        if world.is_rank_zero:
            complete(folder, device=device_of(trainer))
        started = time.monotonic()
        _train(trainer, module, data, job)
        metrics = _test(trainer, module, data, checkpoints)
        judged = {} if job.trainer.get("fast_dev_run") else metrics  # of so few examples, a warning has said so before
        failed = module.failed
        for problem in (*uncomputed(failed, task), *unscored(module.num_unscored, judged, len(examples.test), failed)):
            run.warn(problem)
        seconds = time.monotonic() - started
    with nullcontext(folder) if world.is_rank_zero else TemporaryDirectory() as own:
        # All processes: each runs its part of a sharded model.
        metrics |= task.finish(model, examples, metrics, seed=settings.seed, folder=Path(own), console=run.console)
    words = (*task.results(metrics, examples), *of_optimized(job.settings.metric, task.metric, metrics))
    return Outcome(metrics, seconds, words, pruned.is_set())


def _start(job: Job, run: Running, world: World) -> Model:
    """The model with its initial values, which all processes agree on, and the page about them."""
    model = _build(job, run.folder, world)
    diagnoses = run.show_plan and job.settings.diagnose
    if diagnoses and (said := write_diagnosis(job.plan, model, run.config, run.folder, measure=not world.sharded)):
        run.say(f"{FILE}: {said}")
    if world.size > 1:
        copies = job.trainer.get("num_replicas", 1) if world.sharded else world.size
        run.say(f"initial values: digest {agreed_digest(model, world, copies)}, equal on {world.size} ranks")
    return model


def _checkpoints(job: Job, context: Context, history: History, world: World, data: str) -> Checkpoints:
    return Checkpoints(
        folder=context.folder / "checkpoints",
        metric=job.settings.metric,
        mode=context.mode,
        history=history,
        start=job.start,
        config=context.config,
        every_n_steps=job.settings.checkpoint.every_n_steps,
        processes=world.size,
        data=data,
    )


def _callbacks(
    job: Job, run: Running, hooks: Iterable[Callback], checkpoints: Checkpoints, world: World, *, shown: str
) -> Iterator[Callback]:
    """In the order in which they are called: what a step needs, the config's own, what keeps and shows the results."""
    yield SeedSteps(job.settings.seed, world)
    yield LogSteps(world)
    yield from hooks
    if not job.trainer.get("fast_dev_run"):
        yield RecordStart(job.plan, run.folder)
        yield checkpoints
    if job.trainer.get("enable_progress_bar", True):
        yield EpochBar(run.console, shown, job.settings.metric)


def _check_lengths(job: Job, length: Lengths, examples: Examples) -> list[Problem]:
    """The warnings about the length of the training.

    Raises:
        ForgeError: it would go wrong.
    """
    found = [*out_of_step(job.scheduler, length), *job.freezing.late(length.horizon("epoch"))]
    for name, callback in job.settings.callbacks.items():
        found += callback.late(f"callbacks.{name}", job.terms, length.steps("epoch"), length.steps("step"))
    found += too_short(job.plan, job.settings.data, length)
    found += behind_its_epoch(job.start, job.trainer, length.num_batches)
    train, val, test = (len(part) for part in (examples.train, examples.val, examples.test))
    found += too_short_to_evaluate(job.plan, job.settings.data, length, {"validation": val, "test": test})
    found += unmeasured(job.settings.data, length, {"train": train, "val": val})
    found += without_validation(length, job.settings.metric)
    if wrong := [problem for problem in found if problem.severity == "error"]:
        raise ForgeError(wrong)
    return found


def _build(job: Job, folder: Path, world: World) -> Model:
    """The model; its ledger is in the run's folder even where a promise is broken."""
    if world.sharded:
        from modelforge.train.parallel.sharding import mesh_of, shards

        kind = "cuda" if torch.cuda.is_available() and job.trainer.get("accelerator") != "cpu" else "cpu"
        mesh = mesh_of(world.size, job.trainer.get("num_replicas", 1), kind)
        model = build(job.plan, seed=job.settings.seed, device=kind, shard=shards(mesh))
    else:
        model = build(job.plan, seed=job.settings.seed)
    if world.is_rank_zero:
        _write_json(folder / "ledger.json", model.ledger.to_dict())
    if broken := tuple(broken_promises(job.plan, model.ledger)):
        raise ForgeError(broken)
    return model


def _train(trainer: Trainer, module: Learner, data: DataModule, job: Job) -> None:
    try:
        trainer.fit(module, datamodule=data, ckpt_path=job.settings.ckpt, weights_only=True)
    except NotFinite as error:
        raise ForgeError([diverged(error, job.plan, job.optimizer)]) from error
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


def _write_json(path: Path, data: Any) -> None:
    write_atomically(path, json.dumps(data, indent=2) + "\n")
