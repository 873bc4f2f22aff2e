"""`Source`: the `data` section of a config, as all sources share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, ValidationError, model_validator

from modelforge.core.complaints import all_wrong, wrong
from modelforge.core.frozen import Node
from modelforge.core.quoting import quoted
from modelforge.core.tensors import BATCH, TensorValue
from modelforge.train.data.parts import Examples, TargetKind
from modelforge.train.tasks.registry import TASKS, tasks_for

AsTuple = BeforeValidator(lambda raw: tuple(raw) if isinstance(raw, list) else raw)
"""YAML has lists where a frozen value has tuples."""
Fraction = Annotated[float, Field(gt=0, lt=1)]
OUTPUTS = ("num_classes", "num_targets", "vocab_size")
"""Other names for `num_outputs`; of several, the first counts."""


class InputSettings(Node):
    """Shape and dtype of an input of the model, for one example."""

    shape: Annotated[tuple[PositiveInt, ...], AsTuple]
    """Sizes of one example, without the batch."""
    dtype: Literal["float32", "int64"] = "float32"
    """A torch dtype by name."""


class Source(Node, ABC):
    """What every source declares *before* it is read: a config is data and opens no file.

    Even what only a file determines (columns, classes, an alphabet) is declared, so that a model can be planned,
    reviewed and compared without the file; `read` compares the declaration with the file.
    """

    reads: ClassVar[Literal["", "path", "files"]] = ""
    """The field with the location of the data."""
    reads_folder: ClassVar[bool] = False
    """Whether that is a folder, not a file."""
    target_kinds: ClassVar[tuple[TargetKind, ...]]
    """The kinds of targets that it has, and so the tasks that it can be used for."""

    type: str
    """The name of the source."""
    task: str
    """The purpose of the model: this decides the loss and the metrics."""
    num_outputs: PositiveInt
    """Classes, targets or tokens: models size their last layer by it."""
    batch_size: PositiveInt = 64
    """Examples in one step."""
    num_workers: NonNegativeInt = 0
    """Processes that prepare batches; 0, the training process itself, is best for what lies in memory."""

    @property
    @abstractmethod
    def inputs(self) -> Mapping[str, InputSettings]:
        """The inputs of the model by name, in their order."""

    @abstractmethod
    def read(self) -> Examples:
        """The examples.

        Raises:
            ForgeError: they are not there, or not what is declared here.
        """

    @property
    def given(self) -> tuple[TensorValue, ...]:
        """The inputs as the model reads them."""
        return tuple(TensorValue((BATCH, *one.shape), one.dtype) for one in self.inputs.values())

    @property
    def target_kind(self) -> TargetKind:
        """What there is to predict."""
        return TASKS.get(self.task).target_kind

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes of the targets of one example: `()` for one target, `(steps,)` for one a step."""
        return ()

    @property
    def ignored_class(self) -> int | None:
        """A class that accuracy does not count."""
        return None

    @model_validator(mode="after")
    def _check_task(self) -> Source:
        if self.task not in (tasks := tasks_for(self.target_kinds)):
            raise mistake("task", f"`task` must be {' or '.join(map(repr, tasks))}, but is {quoted(self.task)}")
        return self

    @model_validator(mode="after")
    def _check_outputs(self) -> Source:
        called = {name: getattr(self, name) for name in OUTPUTS if getattr(self, name, None) is not None}
        name, other = next(iter(called.items()), ("", self.num_outputs))
        if other != self.num_outputs:
            raise mistake("num_outputs", f"`num_outputs` is {self.num_outputs}, but `{name}` is {other}")
        return self


class OneInput(Source):
    """A source whose examples are one tensor each."""

    input: InputSettings
    """Shape and dtype of one example."""

    @property
    def inputs(self) -> Mapping[str, InputSettings]:
        return {"input": self.input}


class Bounded(Node):
    """A source that is read from the user's files."""

    max_bytes: PositiveInt = 2**30
    """The most bytes of these, on the disk and unpacked; larger files are refused before they are read."""


class SplitSource(OneInput):
    """A source that is split into three parts at random."""

    val_fraction: Fraction = 0.15
    """Share of the examples that choose the best checkpoint."""
    test_fraction: Fraction = 0.15
    """Share of the examples that are kept for the last line."""
    split_seed: NonNegativeInt = 0
    """Key of the split, apart from the run's seed."""

    @model_validator(mode="after")
    def _check_fractions(self) -> SplitSource:
        if self.val_fraction + self.test_fraction >= 1:
            raise mistake("val_fraction", "`val_fraction` and `test_fraction` leave nothing to train on")
        return self

    def num_examples(self, size: int, *, val: bool = True, test: bool = True) -> tuple[int, int, int]:
        """The sizes of the parts for training, validation and test of `size` examples; a part may lie elsewhere."""
        num_val, num_test = round(size * self.val_fraction) * val, round(size * self.test_fraction) * test
        return size - num_val - num_test, num_val, num_test


def check_float32(settings: InputSettings, what: str) -> None:
    """Checks that an input of numbers is float32."""
    if settings.dtype != "float32":
        raise mistake("input.dtype", f"{what}: `dtype` must be 'float32', not {settings.dtype!r}")


def mistake(where: str, message: str, hint: str = "") -> ValidationError:
    """The error that a validator of a source raises; `where` is a key of its section."""
    return all_wrong([(tuple(where.split(".")), wrong("MF051", message, hint))])
