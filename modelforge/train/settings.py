"""The config apart from the model → `Settings`: data, logger, metric, seed. Strict, frozen, imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from modelforge.errors import Problem, did_you_mean
from modelforge.node import Node

Fraction = Annotated[float, Field(gt=0, lt=1)]
Metric = Literal["val/accuracy", "val/loss"]
WORDS: Mapping[str, str] = MappingProxyType({"tuple_type": "a list", "model_type": "a mapping"})
"""What pydantic calls otherwise than YAML does."""
_AsTuple = BeforeValidator(lambda raw: tuple(raw) if isinstance(raw, list) else raw)
DIGITS = 1797
"""Examples that scikit-learn ships."""
SECTIONS = ("seed", "num_threads", "ckpt", "optimized_metric", "tags", "data", "logger")


class InputSettings(Node):
    """How one example is handed to the model."""

    shape: Annotated[tuple[PositiveInt, ...], _AsTuple]
    """Sizes of one example, without the batch."""
    dtype: Literal["float32", "float64", "bfloat16", "float16"] = "float32"
    """A torch dtype by name."""


class DataSettings(Node):
    """The `data` section: scikit-learn's 8 x 8 digits, in any shape of 64 values."""

    type: Literal["digits"]
    """Which data."""
    input: InputSettings
    """How one example is handed to the model."""
    num_classes: PositiveInt
    """How many classes there are; models size their last layer by it."""
    batch_size: PositiveInt = 64
    """Examples in one step."""
    num_workers: NonNegativeInt = 0
    """Processes that prepare batches; 0 means the training process itself."""
    val_fraction: Fraction = 0.15
    """Share of the examples that choose the best checkpoint."""
    test_fraction: Fraction = 0.15
    """Share of the examples that are kept for the last line."""
    split_seed: NonNegativeInt = 0
    """Key of the split, apart from the run's seed."""

    @model_validator(mode="after")
    def _check_digits(self) -> DataSettings:
        values = prod(self.input.shape)
        if values != 64:
            raise _mistake("input.shape", f"an image of digits has 64 values, but {self.input.shape} holds {values}")
        if self.num_classes != 10:
            raise _mistake("num_classes", f"digits has 10 classes, but `num_classes` is {self.num_classes}")
        if self.val_fraction + self.test_fraction >= 1:
            raise _mistake("val_fraction", "`val_fraction` and `test_fraction` leave nothing to train on")
        num_train, *held_out = self.num_examples
        for name, number in zip(("val_fraction", "test_fraction"), held_out, strict=True):
            if number < self.num_classes:
                few = f"{number} of {DIGITS:,} examples, and its part needs one of each class: {self.num_classes}"
                raise _mistake(name, f"`{name}` is too small: it takes {few}")
        if num_train < self.num_classes:
            few = f"{num_train} of {DIGITS:,} examples to train on, and one of each class are {self.num_classes}"
            raise _mistake("val_fraction", f"`val_fraction` and `test_fraction` leave {few}")
        return self

    @property
    def num_examples(self) -> tuple[int, int, int]:
        """How many examples there are to train on, to validate and to test."""
        num_val, num_test = round(DIGITS * self.val_fraction), round(DIGITS * self.test_fraction)
        return DIGITS - num_val - num_test, num_val, num_test


class LoggerSettings(Node):
    """The `logger` section: what is written while training."""

    csv: bool = True
    """`metrics.csv` in the run folder."""
    tensorboard: bool = True
    """TensorBoard events in the run folder."""


class Settings(Node):
    """What a run needs besides the model, the optimizer and the trainer."""

    seed: NonNegativeInt = 0
    """Keys the initial values, the order of the batches, and dropout; of any size."""
    num_threads: PositiveInt | None = 1
    """Of torch on the CPU while training; None for one a core."""
    ckpt: str | None = None
    """A checkpoint to resume from."""
    optimized_metric: Metric = "val/accuracy"
    """What chooses the best checkpoint and what a sweeper sees."""
    tags: Annotated[tuple[str, ...], _AsTuple] = ()
    """The user's own words."""
    data: DataSettings
    """Which data, and how it is dealt out."""
    logger: LoggerSettings = LoggerSettings()
    """What is written while training."""

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether more or less of the optimized metric is better."""
        return "min" if self.optimized_metric.endswith("loss") else "max"


def parse_settings(values: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """Reads `Settings` out of a composed config; other keys of it are not looked at.

    Returns:
        The settings, None where they are wrong, and all that is wrong with them.
    """
    try:
        return Settings.model_validate({key: values[key] for key in SECTIONS if key in values}), []
    except ValidationError as error:
        return None, [_problem(detail) for detail in error.errors(include_url=False)]


def _mistake(where: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("settings", "{message}", {"message": message, "where": where})


def _problem(detail: ErrorDetails) -> Problem:
    path = ".".join(str(part) for part in detail["loc"])
    name = path.rpartition(".")[2]
    match detail["type"]:
        case "settings":
            return Problem("MF051", f"{path}.{detail['ctx']['where']}", detail["msg"])  # pyright: ignore[reportTypedDictNotRequiredAccess]  # always there
        case "missing":
            parent = path.rpartition(".")[0]
            return Problem("MF051", parent or name, f"there is no `{path}`", f"add `{name}: ...`", part="key")
        case "extra_forbidden":
            parent = path.rpartition(".")[0]
            return Problem(
                "MF051", path, f"`{parent}` has no `{name}`", did_you_mean(name, _fields(parent)), part="key"
            )
        case _:
            said = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
            must = WORDS.get(detail["type"], said)
            return Problem("MF051", path, f"`{name}` must be {must}, but is {detail['input']!r}")


def _fields(path: str) -> set[str]:
    sections: Mapping[str, type[Node]] = {"data": DataSettings, "data.input": InputSettings, "logger": LoggerSettings}
    return set(sections[path].model_fields) if path in sections else set()
