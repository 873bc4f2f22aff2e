"""`Task`: everything about one purpose of training. A subclass in a file of this folder adds a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from modelforge.core.errors import Problem
from modelforge.core.frozen import Node
from modelforge.core.tensors import BATCH, TensorValue, Value, mapped, show
from modelforge.core.words import digits
from modelforge.planning.plan import Plan
from modelforge.train.data.batches import Batch
from modelforge.train.data.parts import Array, Examples, TargetKind
from modelforge.train.tasks.report import Report

if TYPE_CHECKING:
    from torchmetrics import Metric

Mode = Literal["min", "max"]


class Data(Protocol):
    """What a task reads of a `data` section; see `Source`."""

    @property
    def num_outputs(self) -> int: ...

    @property
    def given(self) -> tuple[TensorValue, ...]: ...

    @property
    def positions(self) -> tuple[int, ...]: ...

    @property
    def ignored_class(self) -> int | None: ...


class Task(Node, ABC):
    """The loss of a model, one metric beside it, and what its outputs mean.

    The fields of a subclass are the settings in `data.task`: `{type: classification, label_smoothing: 0.1}`. The name
    alone stands for the defaults.
    """

    target_kind: ClassVar[TargetKind]
    """The kind of targets that it needs; data with such targets can be used for it."""
    metric: ClassVar[str]
    """Logged beside the loss; `val/` of it chooses the best checkpoint."""
    lower_is_better: ClassVar[tuple[str, ...]] = ("loss",)
    """Metrics that improve downwards."""
    family: ClassVar[str] = ""
    """The prefix of torchmetrics' classes for its targets: with `Multiclass`, `F1Score` names `MulticlassF1Score`."""

    reports: ClassVar[bool] = False
    """Whether `report` is to be called: it takes all outputs of a part at once."""

    type: str = ""
    """The name of the task."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "loss" in vars(cls) and "losses" not in vars(cls):  # the losses it inherits are of another loss
            cls.losses = Task.losses

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The value to minimize for one batch; differentiable."""

    def weight(self, batch: Batch) -> float | Tensor:
        """What a batch counts beside others, whose losses are means over their own examples: how many these are.

        A task whose loss divides by something else, such as a sum of weights, gives that.
        """
        return len(batch[1])

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """What each example adds to the loss of a part: `loss` of it alone, times its `weight`."""
        inputs, targets = batch
        found: list[float] = []
        for row in range(len(targets)):
            one = slice(row, row + 1)
            alone = mapped(lambda part, one=one: part[one], inputs), targets[one]
            found.append(float(self.loss(outputs[one], alone) * self.weight(alone)))
        return torch.tensor(found)

    @abstractmethod
    def meter(self, data: Data) -> Metric:
        """A new counter of the metric."""

    def scored(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The predictions and targets of one batch, as metrics take them."""
        return outputs, batch[1]

    def min_examples(self, data: Data) -> int:
        """How many examples of a part the metric takes at least; of fewer it is not a number."""
        return 1

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        """Adds one batch to a counter."""
        meter.update(*self.scored(outputs, batch))

    def prepared(self, examples: Examples, data: Data) -> Self:
        """The task with what its settings leave to the training part, such as balanced class weights."""
        return self

    @abstractmethod
    def reason(self, data: Data) -> str:
        """The reason for the shape of the output, as half a sentence: `the data has 10 classes`."""

    def output(self, data: Data) -> TensorValue:
        """The output that the model must have."""
        return TensorValue((BATCH, *data.positions, data.num_outputs))

    def predictions(self, outputs: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """What outputs mean, in the names and units of the data.

        Args:
            outputs: The model's outputs `(examples, ...)`, on the CPU.
            fitted: What was measured on the training data; see `Examples.fitted`.

        Returns:
            Columns by name, one row for each example. By default the outputs as they are.
        """
        return {"output": widened(outputs).numpy()}

    def kept_predictions(self, outputs: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """What of them a run keeps for each example of its test part: by default all."""
        return self.predictions(outputs, fitted)

    def answers(self, targets: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """The right answers, in the names and units of `predictions`. By default none.

        Args:
            targets: The targets of some examples, on the CPU.
            fitted: What was measured on the training data; see `Examples.fitted`.
        """
        return {}

    def report(self, outputs: Tensor, targets: Array, fitted: Mapping[str, Any], data: Data) -> Report:
        """What predictions show beside the metrics, such as a confusion matrix. By default nothing."""
        return Report()

    def wrong_settings(self, data: Data) -> Iterator[tuple[str, str]]:
        """Settings that do not fit the data: each field's name, and a message."""
        yield from ()

    def wrong_targets(self, targets: Array, data: Data) -> str:
        """What it cannot take of some targets, in words; they have the dtype of their kind. By default nothing."""
        return ""

    def misfits(self, plan: Plan, data: Data) -> Iterator[Problem]:
        """The problem of a model whose output is not what the task takes."""
        if plan.output != (due := self.output(data)):
            message = f"the model outputs {show(plan.output)}, but {self.reason(data)}, so it must be {due}"
            yield Problem("MF050", plan.root.children[-1].key, message, self.hint(plan.output, data), part="key")

    def hint(self, output: Value, data: Data) -> str:
        """How to change a model with another output."""
        due = self.output(data)
        if not isinstance(output, TensorValue):
            return "end with a layer that gives one tensor"
        if len(output.shape) > len(due.shape):
            return "reduce it before the last layer: `Flatten`, or `Select` or `Mean` with the dimension to drop"
        if len(output.shape) < len(due.shape):
            return "keep the steps: leave out the layer that drops them, such as `~model.layers.last`"
        return "end with `{type: Linear, out_features: ${data.num_outputs}}`"

    def check(self, model: nn.Module, examples: Examples, data: Data) -> Iterable[Problem]:
        """The problems of a model that only its outputs show; called before the training."""
        return ()

    def finish(
        self,
        model: nn.Module,
        examples: Examples,
        metrics: Mapping[str, float],
        *,
        seed: int,
        folder: Path,
        console: Console,
    ) -> Mapping[str, float]:
        """Does what follows the test, whose `metrics` are known, in the run's folder and on the console.

        Returns:
            Further metrics.
        """
        return {}

    def results(self, metrics: Mapping[str, float], examples: Examples) -> Iterator[str]:
        """The metrics of the test part in words, for the last line of a run."""
        if (value := metrics.get(f"test/{self.metric}")) is not None:
            yield f"test {self.metric_in_words(examples)} {digits(value)}"

    def metric_in_words(self, examples: Examples) -> str:
        """The metric as the last line of a run names it."""
        return self.metric


def wrong_shape(targets: Array, due: tuple[int, ...]) -> str:
    """What is wrong with the shape of some targets, of which each must have the shape `due`; empty for nothing."""
    shown = ", ".join(["examples", *map(str, due)])
    return "" if targets.shape[1:] == due else f"the target must have shape ({shown}), but has {targets.shape}"


def widened(outputs: Tensor) -> Tensor:
    """Outputs in float32 at least, in which losses are computed."""
    return outputs.float() if outputs.itemsize < 4 else outputs


def first_wrong(array: Array, wrong: Array) -> tuple[str, Any]:
    """The first wrong value with its row, counted from 1."""
    place = tuple(np.argwhere(wrong)[0]) if array.ndim else ()
    return (f"row {place[0] + 1}" if place else "its only value"), array[place]


@cache
def widest() -> torch.dtype:
    """The dtype in which metrics of numbers are summed: float64, which Apple's GPUs lack."""
    return torch.float32 if torch.backends.mps.is_available() else torch.float64
