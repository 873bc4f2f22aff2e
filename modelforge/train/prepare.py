"""prepare: a composed config → `Job`. Everything a run needs is checked before anything is allocated or written.

Imports torch, and not Lightning.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError, Problem, problems_of
from modelforge.core.limits import unfit
from modelforge.core.torch_state import num_cores
from modelforge.core.words import plural
from modelforge.language import parse
from modelforge.planning.plan import Plan, plan
from modelforge.planning.study import Studies
from modelforge.train.arguments import misuse
from modelforge.train.callbacks.registry import check_callbacks
from modelforge.train.context import Terms
from modelforge.train.data.source import Source
from modelforge.train.freezing import Freezing, parse_freeze
from modelforge.train.from_torch import example
from modelforge.train.lengths import Lengths, lengths, out_of_step, too_short, without_steps
from modelforge.train.named import missing_packages
from modelforge.train.optimizers.left_behind import without_left_behind
from modelforge.train.optimizers.optimizer import OptimizerFactory, optimizer_arguments, parse_optimizer
from modelforge.train.resume import Batches, Start, check_resumable
from modelforge.train.schedulers.scheduler import SchedulerFactory, parse_scheduler, scheduler_arguments
from modelforge.train.settings import Settings, parse_settings
from modelforge.train.stray import stray_sections
from modelforge.train.tasks.registry import TASKS, val_metrics
from modelforge.train.trainer_settings import is_sharded, num_processes, parse_trainer

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """A config that has been checked as a whole, ready to train."""

    settings: Settings
    plan: Plan
    optimizer: OptimizerFactory
    scheduler: SchedulerFactory | None
    freezing: Freezing
    trainer: Mapping[str, Any]
    terms: Terms
    start: Start
    warnings: tuple[Problem, ...] = ()


@contextmanager
def located(config: Config) -> Generator[None]:
    """Fills in the places in the config of the problems that its body raises."""
    try:
        yield
    except ForgeError as error:
        raise ForgeError(map(config.origins.locate, error.problems)) from error


@dataclass
class Looks:
    """The parts of preparing a job that take long; a kind of it remembers what many jobs have in common."""

    studies: Studies = field(default_factory=Studies)

    def plan(self, config: Config) -> Plan:
        """What `planning` decides of the model."""
        return plan(parse(config), self.studies)

    def too_short(self, plan: Plan, source: Source, length: Lengths) -> list[Problem]:
        """What `lengths.too_short` says."""
        return [*too_short(plan, source, length)]


def prepare(config: Config, studies: Studies | None = None, *, looks: Looks | None = None) -> Job:
    """Checks everything a run needs, before anything is allocated or written.

    Args:
        config: The composed config.
        studies: Results of earlier plans about layers; one object for many configs saves time.
        looks: What takes long, in place of `studies`.

    Raises:
        ForgeError: all that is wrong with the model and with the training settings.
    """
    if unreadable := unfit(config.values):
        raise ForgeError(map(config.origins.locate, unreadable))
    looks = looks or Looks(studies or Studies())
    decided, wrong = _tried(lambda: looks.plan(config))
    found = _Findings(warnings=[*stray_sections(config)])
    settings = found.take(parse_settings(config.values))
    found.problems += _too_many_threads(settings)
    optimizer, freezing = _optimizer(config, decided, found)
    scheduler = _scheduler(config, settings, optimizer, found)
    trainer = found.take(parse_trainer(config.values.get("trainer", {})))
    found.problems += [*_unfit_steps(optimizer, trainer), *_unfit_shards(optimizer, settings, trainer)]
    found.warnings += without_steps(trainer)
    terms = _terms(config, settings, trainer, found)
    if decided is not None and settings is not None:
        found.problems += misfits(decided, settings.data)
        length = lengths(settings.data, trainer)
        found.problems += [problem for problem in out_of_step(scheduler, length) if problem.severity == "error"]
        if not (wrong or found.problems):
            found.problems += looks.too_short(decided, settings.data, length)
    # What the model says of a value is enough.
    known = {problem.key for problem in wrong}
    wrong += [problem for problem in found.problems if problem.key not in known]
    start, unfit_checkpoint = _start(config, settings, trainer)
    wrong += unfit_checkpoint
    # What could not be made has a problem.
    if wrong or decided is None or settings is None or optimizer is None or terms is None or start is None:
        raise ForgeError(map(config.origins.locate, wrong))
    return Job(
        settings=settings,
        plan=decided,
        optimizer=optimizer,
        scheduler=scheduler,
        freezing=freezing,
        trainer=trainer,
        terms=terms,
        start=start,
        warnings=tuple(map(config.origins.locate, found.warnings)),
    )


@dataclass
class _Findings:
    """What is found in the sections of a config."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def take(self, read: tuple[T, Iterable[Problem]]) -> T:
        """What was read of a section; keeps its problems."""
        value, problems = read
        self.problems += problems
        return value

    def section(self, config: Config, name: str, known: Mapping[str, frozenset[str]]) -> Any:
        """A section of a config without what was left in it; keeps the warnings and problems of that."""
        section, warnings, problems = _section(config, name, known)
        self.warnings += warnings
        self.problems += problems
        return section


def _optimizer(config: Config, decided: Plan | None, findings: _Findings) -> tuple[OptimizerFactory | None, Freezing]:
    """The optimizer, with the groups of the model if there is one, and what is frozen."""
    optimizer, refused = parse_optimizer(findings.section(config, "optimizer", optimizer_arguments()))
    findings.problems += refused
    if decided is None:
        return optimizer, Freezing()
    freezing, unfrozen = parse_freeze(config.values.get("freeze"), decided)
    findings.problems += unfrozen
    if optimizer is not None and not (refused or unfrozen):
        optimizer = findings.take(optimizer.grouped(decided, freezing.never_trained))
    return optimizer, freezing


def _scheduler(
    config: Config, settings: Settings | None, optimizer: OptimizerFactory | None, findings: _Findings
) -> SchedulerFactory | None:
    """The scheduler, which must take the optimizer; where the settings are wrong, any task's metrics will do for it."""
    section = findings.section(config, "scheduler", scheduler_arguments())
    metrics = settings.directions if settings else val_metrics(*TASKS.names())
    metric = settings.metric if settings else "val/loss"
    scheduler, refused = parse_scheduler(section, metrics, config.values.get("trainer"), metric)
    findings.problems += refused
    if scheduler is not None and optimizer is not None and not refused:
        findings.problems += problems_of(lambda: scheduler(optimizer([("example", example())])))
    return scheduler


def _terms(config: Config, settings: Settings | None, trainer: Mapping[str, Any], findings: _Findings) -> Terms | None:
    """What callbacks are checked against, and the problems of callbacks and loggers."""
    if settings is None:
        return None
    terms = Terms(settings.metric, settings.directions, trainer, bool(config.values.get("scheduler")))
    findings.problems += check_callbacks(settings.callbacks, terms)
    findings.problems += missing_packages("callbacks", settings.callbacks)
    findings.warnings += _without_effect(settings)
    findings.problems += missing_packages("logger", settings.logger)
    return terms


def _start(config: Config, settings: Settings | None, trainer: Mapping[str, Any]) -> tuple[Start | None, list[Problem]]:
    """Where the training starts: at a checkpoint, if the settings name one."""
    if settings is None or (checkpoint := settings.ckpt) is None:
        return Start(), []
    batches = Batches(settings.data.batch_size, processes_here(trainer))
    return _tried(lambda: check_resumable(Path(checkpoint), config, settings.metric, batches))


def settled(config: Config) -> Config:
    """A config that needs no places any more: arguments of another type than is chosen, which files left, are gone."""
    known = {"optimizer": optimizer_arguments(), "scheduler": scheduler_arguments()}
    kept = {name: _section(config, name, keys)[0] for name, keys in known.items() if name in config.values}
    return replace(config, values={**config.values, **kept})


def _section(
    config: Config, name: str, known: Mapping[str, frozenset[str]]
) -> tuple[Any, list[Problem], list[Problem]]:
    """A section of a config, what was left out of it, and what is wrong with that."""
    return without_left_behind(config.values.get(name), name, known, config.origins)


def misfits(plan: Plan, source: Source) -> Iterator[Problem]:
    """The problems where the model does not take what the data gives, or does not give what the task takes."""
    if tuple(plan.inputs.values()) != source.given:
        both = (plan.inputs.values(), source.given)
        takes, gives = (" and ".join(f"{one.dtype} {one}" for one in inputs) for inputs in both)
        message = f"the model takes {takes}, but the data gives {gives}"
        yield Problem("MF050", "model.input", message, _inputs_hint(source))
    yield from source.task.misfits(plan, source)


def _inputs_hint(source: Source) -> str:
    """The `input` of a model that takes what the data gives."""
    first, *others = source.inputs.items()
    if not others or first[0] != "input":
        return "write `input: ${data.input}`"
    rest = ", ".join(f"{name}: {{shape: {[*one.shape]}, dtype: {one.dtype}}}" for name, one in others)
    names = " and ".join(f"`inputs: {name}`" for name in ("features", *(name for name, _ in others)))
    return f"write `input: {{features: ${{data.input}}, {rest}}}`; layers read them by {names}"


def _unfit_steps(optimizer: OptimizerFactory | None, trainer: Mapping[str, Any]) -> Iterator[Problem]:
    """The arguments of an optimizer that do not go with the trainer."""
    given = optimizer.arguments if optimizer is not None else {}
    if given.get("fused") and trainer.get("gradient_clip_val") and str(trainer.get("precision")) in ("16", "16-mixed"):
        message = "a fused optimizer unscales the gradients of `16-mixed` in its step: they cannot be clipped before"
        yield misuse("optimizer.fused", message, "leave it out, or write `trainer.precision=bf16-mixed`")
    if given.get("capturable") and trainer.get("accelerator") == "cpu":
        message = "`capturable` records the steps of a GPU, but `trainer.accelerator` is 'cpu'"
        yield misuse("optimizer.capturable", message, "leave it out")
    if (
        optimizer is not None
        and optimizer.evaluates_again
        and (number := trainer.get("accumulate_grad_batches", 1)) > 1
    ):
        message = (
            f"{optimizer.kind.__name__} evaluates a batch several times in a step, but a step has {number} batches"
        )
        hint = "write `trainer.accumulate_grad_batches=1`, and a larger `data.batch_size`"
        yield misuse("trainer.accumulate_grad_batches", message, hint)


def _unfit_shards(
    optimizer: OptimizerFactory | None, settings: Settings | None, trainer: Mapping[str, Any]
) -> Iterator[Problem]:
    """What needs a whole model in each process, where each has a part."""
    if not is_sharded(trainer):
        return
    hint = "leave it out, or write `trainer.strategy=ddp`"
    if optimizer is not None and optimizer.capturable:
        message = "`capturable` records steps, and those of a sharded model cannot be recorded"
        yield misuse("optimizer.capturable", message, hint)
    if optimizer is not None and optimizer.evaluates_again:
        message = "LBFGS takes all parameters as one vector, which a sharded model does not have"
        yield misuse("optimizer.type", message, "choose another, or train in one process")
    for name, callback in settings.callbacks.items() if settings is not None else ():
        if callback.replaces_weights:
            message = f"`{name}` copies the whole model, and a process of `trainer.strategy=fsdp` has a part of it"
            yield misuse(f"callbacks.{name}", message, hint, part="key")


def _without_effect(settings: Settings) -> Iterator[Problem]:
    """The warnings about settings that nothing reads, since others are as they are."""
    sections = {"data": settings.data, **{f"callbacks.{name}": one for name, one in settings.callbacks.items()}}
    for section, one in sections.items():
        for name, reason in one.without_effect():
            yield Problem("MW220", f"{section}.{name}", f"`{name}` has no effect: {reason}", "leave it out")


def _too_many_threads(settings: Settings | None) -> Iterator[Problem]:
    number = settings.num_threads if settings is not None else None
    if number is not None and number > num_cores():
        message = f"`num_threads` is {number}, but this machine has {plural(num_cores(), 'core')}"
        yield misuse("num_threads", message, "`num_threads=null` takes one a core")


def processes_here(arguments: Mapping[str, Any]) -> int:
    """The number of processes that the checked arguments of a trainer mean on this machine."""
    known = num_processes(arguments)
    return max(1, torch.accelerator.device_count()) * arguments.get("num_nodes", 1) if known is None else known


def _tried(make: Callable[[], T]) -> tuple[T | None, list[Problem]]:
    """What `make` returns, or None and the problems that it raises."""
    try:
        return make(), []
    except ForgeError as error:
        return None, list(error.problems)
