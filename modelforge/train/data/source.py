"""`Source`: the `data` section of a config, as all sources share it."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import isfunction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
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

from modelforge.core.complaints import all_wrong, relocated, wrong
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.frozen import AsTuple, Node
from modelforge.core.quoting import quoted, sentence
from modelforge.core.tensors import BATCH, TensorValue
from modelforge.train.data.declared import as_array, as_input, as_targets
from modelforge.train.data.parts import Array, Arrays, Part, TargetKind
from modelforge.train.tasks.registry import parse_task, tasks_for
from modelforge.train.tasks.task import Task

Fraction = Annotated[float, Field(gt=0, lt=1)]
OUTPUTS = ("num_classes", "num_targets", "vocab_size")
"""Other names for `num_outputs`; of several, the first counts."""


Check = Callable[[Any], Iterable[ValidationError]]


def check(function: Check) -> Check:
    """Makes a method of a source part of its validation: it gives what is wrong with the section.

    Unlike Pydantic's validators, of which the first that raises is the last, all of them are asked.
    """
    function.checks_section = True  # pyright: ignore[reportFunctionMemberAccess]  # a mark
    return function


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
    reads_folder: ClassVar[bool | None] = False
    """Whether that is a folder, not a file; None for either."""
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
        except (OSError, ValueError, EOFError, BadZipFile, zlib.error) as error:
            hint = f"new data of `{self.type}` are arrays: save them by `numpy.save`"
            raise new_data(f"`{path}` cannot be read as arrays: {sentence(error)}", hint) from None

    def doubts(self, path: Path) -> Iterable[Problem]:
        """Warnings about a file that can be read as new data, but may be another than it seems. By default none."""
        return ()

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
        if labelled and not (isinstance(raw, tuple | list) and len(raw) == 2):
            raise new_data("new data with targets must be a pair of inputs and targets")
        given, targets = raw if labelled else (raw, None)
        try:
            inputs = self._inputs(given)
            first, *others = inputs
            size = len(first)
            answers = np.zeros(size, np.int64) if targets is None else as_targets(targets, self)
        except Refusal as error:
            raise new_data(f"the new data: {error}") from None
        if odd := next((len(one) for one in (*inputs, answers) if len(one) != size), None):
            raise new_data(f"the arrays of the new data differ in length: {size:,} and {odd:,}")
        return Arrays(inputs if others else first, answers)

    def _inputs(self, given: Any) -> tuple[Array, ...]:
        """Arrays of new data, or a mapping of them, as the inputs that are declared."""
        declared = self.inputs
        if isinstance(given, Mapping):
            if missing := [name for name in declared if name not in given and (len(declared) > 1 or not given)]:
                raise new_data(f"the new data has no `{missing[0]}`", f"it must have {', '.join(declared)}")
            first = [given[name] if name in given else next(iter(given.values())) for name in declared]
            given = tuple(first)
        several = given if isinstance(given, tuple) else (given,)
        if len(several) != len(declared):
            raise new_data(f"the new data has {len(several)} inputs, but the model takes {len(declared)}")
        arrays = [as_array(one, f"`{name}`") for name, one in zip(declared, several, strict=True)]
        for (name, settings), array in zip(declared.items(), arrays, strict=True):
            if not array.ndim or tuple(array.shape[1:]) != settings.shape:
                due = ", ".join(["examples", *map(str, settings.shape)])
                raise new_data(f"`{name}` of the new data has shape {array.shape}, but must have ({due})")
        pairs = zip(arrays, declared.items(), strict=True)
        return tuple(
            as_input(array, settings.dtype, self.token_bound, f"`{name}`") for array, (name, settings) in pairs
        )

    def without_effect(self) -> Iterator[tuple[str, str]]:
        """Settings that nothing reads, since others are as they are: each field's name, and the reason."""
        yield from ()

    @property
    def given(self) -> tuple[TensorValue, ...]:
        """The inputs as the model reads them."""
        return tuple(TensorValue((BATCH, *one.shape), one.dtype) for one in self.inputs.values())

    @property
    def token_bound(self) -> int | None:
        """How many tokens an input may have, where the section says it by `vocab_size`."""
        return getattr(self, "vocab_size", None)

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
    def _check_all(self) -> Self:
        methods = (one for cls in reversed(type(self).__mro__) for one in [*vars(cls).values()] if isfunction(one))
        checks = [one for one in methods if hasattr(one, "checks_section")]
        if errors := [error for one in checks for error in one(self)]:
            details = [detail for error in errors for detail in error.errors(include_url=False)]
            raise ValidationError.from_exception_data("data", [relocated(one, one["loc"]) for one in details])
        return self

    @check
    def _check_task(self) -> Iterator[ValidationError]:
        if self.task.type not in (tasks := tasks_for(self.target_kinds)):
            yield mistake("task", f"`task` must be {' or '.join(map(repr, tasks))}, but is {quoted(self.task.type)}")
            return
        for name, message in self.task.wrong_settings(self):
            yield mistake(f"task.{name}", message)

    @check
    def _check_outputs(self) -> Iterator[ValidationError]:
        called = {name: getattr(self, name) for name in OUTPUTS if getattr(self, name, None) is not None}
        name, other = next(iter(called.items()), ("", self.num_outputs))
        if other != self.num_outputs:
            yield mistake("num_outputs", f"`num_outputs` is {self.num_outputs}, but `{name}` is {other}")


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

    @check
    def _check_fractions(self) -> Iterator[ValidationError]:
        if self.val_fraction + self.test_fraction >= 1:
            yield mistake("val_fraction", "`val_fraction` and `test_fraction` leave nothing to train on")

    def num_examples(self, size: int, *, val: bool = True, test: bool = True) -> tuple[int, int, int]:
        """The sizes of the parts for training, validation and test of `size` examples; a part may lie elsewhere."""
        num_val, num_test = round(size * self.val_fraction) * val, round(size * self.test_fraction) * test
        return size - num_val - num_test, num_val, num_test


def check_float32(settings: InputSettings, what: str) -> Iterator[ValidationError]:
    """The mistake of an input of numbers that is not float32."""
    if settings.dtype != "float32":
        yield mistake("input.dtype", f"{what}: `dtype` must be 'float32', not {settings.dtype!r}")


def new_data(message: str, hint: str = "") -> ForgeError:
    """The problem of new data that a finished run is to predict from."""
    return ForgeError([Problem("MF150", "", message, hint)])


def mistake(where: str, message: str, hint: str = "") -> ValidationError:
    """The error that a validator of a source raises; `where` is a key of its section."""
    return all_wrong([(tuple(where.split(".")), wrong("MF051", message, hint))])
