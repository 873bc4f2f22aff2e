"""`Source`: the `data` section of a config, as all sources share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zipfile import BadZipFile

import numpy as np
from pydantic import (
    Field,
    NonNegativeInt,
    PlainValidator,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from modelforge.core.complaints import all_wrong, wrong
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import AsTuple, Node
from modelforge.core.quoting import quoted, sentence
from modelforge.core.tensors import BATCH, TensorValue
from modelforge.train.data.parts import Arrays, Part, TargetKind
from modelforge.train.tasks.registry import parse_task, tasks_for
from modelforge.train.tasks.task import Task

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
    task: Annotated[SerializeAsAny[Task], PlainValidator(parse_task, json_schema_input_type=str | dict[str, Any])]
    """The purpose of the model, which decides the loss and the metric: a name, or a mapping with its settings."""
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
    def read(self) -> Any:
        """The examples: as `Examples`, or in another form that `examples_of` takes, such as three torch Datasets.

        Raises:
            ForgeError: they are not there, or not what is declared here.
        """

    def raw(self, path: Path) -> Any:
        """New data from a file or folder, in the form that `encode` takes. By default NumPy's `.npy` or `.npz`.

        Raises:
            ForgeError: it cannot be read.
        """
        try:
            found = np.load(path, allow_pickle=False)
            return found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            hint = f"new data of `{self.type}` are arrays: save them by `numpy.save`"
            raise new_data(f"`{path}` cannot be read as arrays: {sentence(error)}", hint) from None

    def encode(self, raw: Any, fitted: Mapping[str, Any], *, labelled: bool = False) -> Part:
        """New data as the model reads it, by what was fitted to the training part. By default arrays as they are.

        Args:
            raw: From `raw`, or given in Python: an array or tensor, for several inputs a tuple or a mapping.
            fitted: What `read` kept in `Examples.fitted`.
            labelled: Whether `raw` is a pair of that and the targets.

        Returns:
            The inputs; the targets are zeros unless `labelled`.

        Raises:
            ForgeError: it is not as the section declares.
        """
        given, targets = raw if labelled else (raw, None)
        declared = self.inputs
        if isinstance(given, Mapping):
            if missing := [name for name in declared if name not in given and len(declared) > 1]:
                raise new_data(f"the new data has no `{missing[0]}`", f"it must have {', '.join(declared)}")
            given = tuple(given[name] for name in declared) if len(declared) > 1 else next(iter(given.values()))
        arrays = [np.asarray(one) for one in (given if isinstance(given, tuple) else (given,))]
        if len(arrays) != len(declared):
            raise new_data(f"the new data has {len(arrays)} inputs, but the model takes {len(declared)}")
        for (name, settings), array in zip(declared.items(), arrays, strict=True):
            if tuple(array.shape[1:]) != settings.shape:
                due = ", ".join(["examples", *map(str, settings.shape)])
                raise new_data(f"`{name}` of the new data has shape {array.shape}, but must have ({due})")
        cast = tuple(array.astype(one.dtype) for one, array in zip(declared.values(), arrays, strict=True))
        answers = np.zeros(len(arrays[0]), np.int64) if targets is None else np.asarray(targets)
        first, *others = cast
        return Arrays(cast if others else first, answers)

    @property
    def given(self) -> tuple[TensorValue, ...]:
        """The inputs as the model reads them."""
        return tuple(TensorValue((BATCH, *one.shape), one.dtype) for one in self.inputs.values())

    @property
    def target_kind(self) -> TargetKind:
        """What there is to predict."""
        return self.task.target_kind

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
        if self.task.type not in (tasks := tasks_for(self.target_kinds)):
            raise mistake("task", f"`task` must be {' or '.join(map(repr, tasks))}, but is {quoted(self.task.type)}")
        if wrong := [(f"task.{name}", message) for name, message in self.task.wrong_settings(self)]:
            raise mistake(*wrong[0])
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

    known_size: ClassVar[int | None] = None
    """How many examples there are, where that is known before they are read."""

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


def new_data(message: str, hint: str = "") -> ForgeError:
    """The problem of new data that a finished run is to predict from."""
    return ForgeError([Problem("MF150", "", message, hint)])


def mistake(where: str, message: str, hint: str = "") -> ValidationError:
    """The error that a validator of a source raises; `where` is a key of its section."""
    return all_wrong([(tuple(where.split(".")), wrong("MF051", message, hint))])
