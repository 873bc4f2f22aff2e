"""The config apart from the model → `Settings`: data, callbacks, loggers, metric, seed. Strict and frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, PositiveInt, ValidationError, model_validator
from pydantic_core import ErrorDetails

from modelforge.core.complaints import Alternatives, Owner, all_wrong, problem, wrong
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import AsTuple, FrozenDict, Node, Seed
from modelforge.core.paths import join
from modelforge.core.quoting import quoted
from modelforge.core.registry import Registry
from modelforge.core.suggestions import did_you_mean
from modelforge.linting.subject import Training
from modelforge.train.callbacks.registry import CALLBACKS, CallbackSettings, parse_callbacks
from modelforge.train.data.registry import SOURCES, parse_source
from modelforge.train.data.source import Source, mistake
from modelforge.train.loggers.registry import LOGGERS, LoggerSettings, parse_loggers
from modelforge.train.metrics import MetricFactory, parse_metrics, unfit_metrics
from modelforge.train.tasks.registry import TASKS, main_metric, task_type, val_metrics
from modelforge.train.tasks.task import Mode

SECTIONS = (
    *("seed", "num_threads", "ckpt", "checkpoint", "optimized_metric", "diagnose", "sweep", "tags"),
    *("data", "metrics", "callbacks", "logger"),
)


SWITCHES: Mapping[str, bool] = MappingProxyType({"on": True, "off": False})
"""What YAML takes for true and false, and a Hydra override for words."""
Switch = Annotated[bool, BeforeValidator(lambda raw: SWITCHES.get(raw, raw) if isinstance(raw, str) else raw)]


class CheckpointSettings(Node):
    """The `checkpoint` section: what is saved while training."""

    every_n_steps: PositiveInt | None = None
    """Steps after which `last.ckpt` is written within an epoch; None: it is written after each epoch only."""


class SweepSettings(Node):
    """The `sweep` section: which jobs a multirun has. A single run does not read it."""

    resume: str | None = None
    """The folder of a multirun whose jobs are finished, in place of a new one."""
    zip: Annotated[tuple[Annotated[tuple[str, ...], AsTuple], ...], AsTuple] | None = None
    """Lists of keys whose values go together, the first with the first, and so on."""
    where: Annotated[str | Annotated[tuple[str, ...], AsTuple], Alternatives] | None = None
    """A condition on the values of a job, as `init.gain < 2`, or several, which must all hold."""
    skip_invalid: Switch = False
    """Whether jobs whose values are invalid are left out; otherwise none begins."""


class Settings(Node):
    """What a run needs besides the model, the optimizer and the trainer."""

    seed: Seed = 0
    """Keys the initial values, the order of the batches, and dropout; of any size."""
    num_threads: PositiveInt | None = 1
    """Of torch on the CPU while training; None for one a core."""
    ckpt: str | None = None
    """A checkpoint to resume from."""
    checkpoint: CheckpointSettings = CheckpointSettings()
    """What is saved while training."""
    optimized_metric: str | None = None
    """What chooses the best checkpoint and what a sweeper sees; None for the one of the data's task."""
    diagnose: Switch = True
    """Whether the run folder gets `diagnosis.html`, with how the model starts; not for the jobs of a multirun."""
    sweep: SweepSettings = SweepSettings()
    """Which jobs a multirun has."""
    tags: Annotated[tuple[str, ...], AsTuple] = ()
    """The user's own words."""
    data: Annotated[Source, PlainValidator(parse_source)]
    """Which data, and how it is dealt out."""
    metrics: FrozenDict[str, Any] | None = None
    """Further metrics of validation and test: a name in the logs → a torchmetrics class, with its arguments."""
    callbacks: Annotated[FrozenDict[str, CallbackSettings], PlainValidator(parse_callbacks)] = FrozenDict()
    """What is done while training, by name."""
    logger: Annotated[FrozenDict[str, LoggerSettings], PlainValidator(parse_loggers)] = Field(
        default_factory=lambda: parse_loggers({"csv": True, "tensorboard": True})
    )
    """What keeps the metrics, by name."""

    @model_validator(mode="after")
    def _check_metric(self) -> Settings:
        factories, problems = parse_metrics(self.metrics or {}, self.data.task, self.data)
        if problems := problems or [*unfit_metrics(factories, self.data.task, self.data)]:
            raise all_wrong((tuple(one.key.split(".")), wrong(one.code, one.message, one.hint)) for one in problems)
        if self.metric not in self.directions:
            known = " or ".join(map(repr, self.directions))
            message = f"`optimized_metric` must be {known}, but is {quoted(self.metric)}"
            raise mistake("optimized_metric", message)
        return self

    @property
    def metric(self) -> str:
        """The optimized metric."""
        return self.optimized_metric or main_metric(self.data.task.type)

    @property
    def factories(self) -> Mapping[str, MetricFactory]:
        """The further metrics."""
        return parse_metrics(self.metrics or {}, self.data.task, self.data)[0]

    @property
    def directions(self) -> Mapping[str, Mode]:
        """The metrics of a validation, which a checkpoint or a scheduler may follow, each with its better direction."""
        further: dict[str, Mode] = {f"val/{name}": factory.mode for name, factory in self.factories.items()}
        return MappingProxyType({**val_metrics(self.data.task.type), **further})


def parse_settings(values: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """Reads `Settings` out of a composed config; other keys of it are not looked at.

    Returns:
        The settings, None where they are wrong, and all that is wrong with them.
    """
    try:
        return Settings.model_validate({key: values[key] for key in SECTIONS if key in values}), []
    except ValidationError as error:
        return None, [_problem(detail, values) for detail in error.errors(include_url=False)]


def parse_sweep(section: Any) -> SweepSettings:
    """Reads the `sweep` section, which is needed before any job is composed.

    Raises:
        ForgeError: all that is wrong with it.
    """
    try:
        return SweepSettings.model_validate(section or {})
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ForgeError(_problem({**detail, "loc": ("sweep", *detail["loc"])}, {}) for detail in details) from None


def judged_by(values: Mapping[str, Any]) -> dict[str, Any]:
    """The optimized metric of a config, and the metrics of which less is better; of a wrong one, those of its task."""
    task = task_type(values.get("data"))
    settings, _ = parse_settings(values)
    directions = settings.directions if settings else {}
    known = {name.removeprefix("val/"): mode for name, mode in directions.items()}
    of_task = TASKS.get(task).lower_is_better if task in TASKS else ("loss",)
    return {
        "optimized_metric": settings.metric if settings else str(values.get("optimized_metric") or main_metric(task)),
        "lower_is_better": tuple(name for name in dict.fromkeys((*of_task, *known)) if known.get(name, "min") == "min"),
    }


def training_of(values: Mapping[str, Any]) -> Training | None:
    """What lint rules may know of the training of a config that is not checked yet; None where it trains nothing."""
    optimizer, data = values.get("optimizer"), values.get("data")
    if not isinstance(optimizer, Mapping):
        return None
    task = task_type(data)
    scored = task in TASKS and TASKS.get(task).target_kind in ("class", "token")
    of_data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    count, padding = of_data.get("num_outputs") if scored else None, of_data.get("padding_id")
    return Training(
        optimizer=str(optimizer.get("type")),
        by_width=optimizer.get("mup") is True,
        num_classes=count if isinstance(count, int) else None,
        padding_idx=padding if isinstance(padding, int) else None,
        padding=str(of_data.get("padding", "right")),
    )


def _problem(detail: ErrorDetails, values: Mapping[str, Any]) -> Problem:
    *section, _ = detail["loc"]
    name = f"`{join(*section)}`" if section else "the config"
    owner = Owner(
        name,
        missing="MF051",
        unknown="MF051",
        wrong="MF051",
        suggest=lambda name: did_you_mean(name, _fields(section, values)),
    )
    return problem(detail, join(*detail["loc"]), owner)


NAMED: Mapping[str, Registry[Any]] = MappingProxyType({"callbacks": CALLBACKS, "logger": LOGGERS})
"""The sections that hold sections by name."""


def _fields(path: Sequence[str | int], values: Mapping[str, Any]) -> Iterable[str]:
    """The keys of the section at a path."""
    keys = [str(key) for key in path]
    data = values.get("data") or {}
    model: Any = Settings
    if keys[:2] == ["data", "task"]:
        model, keys = TASKS.get(task_type(data)), keys[2:]
    elif keys[:1] == ["data"]:
        model, keys = SOURCES.get(data["type"]), keys[1:]
    elif keys[0] in NAMED:
        model, keys = NAMED[keys[0]].get(keys[1]), keys[2:]
    for key in keys:
        model = model.model_fields[key].annotation
    return model.model_fields
