"""The config apart from the model → `Settings`: data, logger, metric, seed. Strict, frozen, imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import PlainValidator, PositiveInt, ValidationError, model_validator
from pydantic_core import ErrorDetails

from modelforge.core.complaints import Owner, problem
from modelforge.core.errors import Problem, did_you_mean, quoted
from modelforge.core.frozen import Node, Seed
from modelforge.train.data.source import AsTuple, InputSettings, Source, mistake
from modelforge.train.data.sources import SOURCES, parse_source
from modelforge.train.words import main_metric

SECTIONS = ("seed", "num_threads", "ckpt", "optimized_metric", "tags", "data", "logger")


class LoggerSettings(Node):
    """The `logger` section: what is written while training."""

    csv: bool = True
    """`metrics.csv` in the run folder."""
    tensorboard: bool = True
    """TensorBoard events in the run folder."""


class Settings(Node):
    """What a run needs besides the model, the optimizer and the trainer."""

    seed: Seed = 0
    """Keys the initial values, the order of the batches, and dropout; of any size."""
    num_threads: PositiveInt | None = 1
    """Of torch on the CPU while training; None for one a core."""
    ckpt: str | None = None
    """A checkpoint to resume from."""
    optimized_metric: str | None = None
    """What chooses the best checkpoint and what a sweeper sees; None for the one of the data's task."""
    tags: Annotated[tuple[str, ...], AsTuple] = ()
    """The user's own words."""
    data: Annotated[Source, PlainValidator(parse_source)]
    """Which data, and how it is dealt out."""
    logger: LoggerSettings = LoggerSettings()
    """What is written while training."""

    @model_validator(mode="after")
    def _check_metric(self) -> Settings:
        if self.metric not in self.metrics:
            message = f"`optimized_metric` must be {choices(self.metrics)}, but is {quoted(self.metric)}"
            raise mistake("optimized_metric", message)
        return self

    @property
    def metric(self) -> str:
        """The optimized metric."""
        return self.optimized_metric or main_metric(self.data.task)

    @property
    def metrics(self) -> tuple[str, str]:
        """What a validation gives, by the data's task: a checkpoint or a scheduler may follow it."""
        return main_metric(self.data.task), "val/loss"


def parse_settings(values: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """Reads `Settings` out of a composed config; other keys of it are not looked at.

    Returns:
        The settings, None where they are wrong, and all that is wrong with them.
    """
    try:
        return Settings.model_validate({key: values[key] for key in SECTIONS if key in values}), []
    except ValidationError as error:
        return None, [_problem(detail, values) for detail in error.errors(include_url=False)]


def choices(words: Iterable[str]) -> str:
    """
    >>> choices(["min", "max"])
    "'min' or 'max'"
    """
    return " or ".join(map(repr, words))


def _problem(detail: ErrorDetails, values: Mapping[str, Any]) -> Problem:
    key = ".".join(map(str, detail["loc"]))
    parent = key.rpartition(".")[0]
    name = f"`{parent}`" if parent else "the config"
    owner = Owner(
        name,
        missing="MF051",
        unknown="MF051",
        wrong="MF051",
        suggest=lambda name: did_you_mean(name, _fields(parent, values)),
    )
    return problem(detail, key, owner)


def _fields(path: str, values: Mapping[str, Any]) -> set[str]:
    match path:
        case "data":
            return set(SOURCES[values["data"]["type"]].model_fields)
        case "data.input":
            declared: Any = SOURCES[values["data"]["type"]].model_fields["input"].annotation
            return set(declared.model_fields)
        case "data.input.source" | "data.input.target":
            return set(InputSettings.model_fields)
        case "logger":
            return set(LoggerSettings.model_fields)
        case _:
            return set()
