"""`Task`: everything about one purpose of training. A subclass in a file of this folder adds a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from rich.console import Console
from torch import Tensor, nn

from modelforge.core.errors import Problem
from modelforge.core.tensors import BATCH, TensorValue, Value, show
from modelforge.core.words import digits
from modelforge.planning.plan import Plan
from modelforge.train.data.batches import Batch
from modelforge.train.data.parts import Examples, TargetKind

if TYPE_CHECKING:
    from torchmetrics import Metric

Mode = Literal["min", "max"]


class Data(Protocol):
    """What a task reads of a `data` section; see `Source`."""

    @property
    def task(self) -> str: ...

    @property
    def num_outputs(self) -> int: ...

    @property
    def given(self) -> tuple[TensorValue, ...]: ...

    @property
    def positions(self) -> tuple[int, ...]: ...

    @property
    def ignored_class(self) -> int | None: ...


class Task(ABC):
    """The loss of a model, and one metric beside it.

    Args:
        data: What the data declares.
    """

    target_kind: ClassVar[TargetKind]
    """The kind of targets that it needs; data with such targets can be used for it."""
    metric: ClassVar[str]
    """Logged beside the loss; `val/` of it chooses the best checkpoint."""
    lower_is_better: ClassVar[tuple[str, ...]] = ("loss",)
    """Metrics that improve downwards."""

    def __init__(self, data: Data) -> None:
        self.data = data

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The value to minimize for one batch; differentiable."""

    @abstractmethod
    def meter(self) -> Metric:
        """A new counter of the metric."""

    @abstractmethod
    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        """Adds one batch to a counter."""

    @property
    @abstractmethod
    def reason(self) -> str:
        """The reason for the shape of the output, as half a sentence: `the data has 10 classes`."""

    @property
    def output(self) -> TensorValue:
        """The output that the model must have."""
        return TensorValue((BATCH, *self.data.positions, self.data.num_outputs))

    def misfits(self, plan: Plan) -> Iterator[Problem]:
        """The problem of a model whose output is not what the task takes."""
        if plan.output != self.output:
            message = f"the model outputs {show(plan.output)}, but {self.reason}, so it must be {self.output}"
            yield Problem("MF050", plan.root.children[-1].key, message, self.hint(plan.output), part="key")

    def hint(self, output: Value) -> str:
        """How to change a model with another output."""
        due = self.output
        if not isinstance(output, TensorValue):
            return "end with a layer that gives one tensor"
        if len(output.shape) > len(due.shape):
            return "reduce it before the last layer: `Flatten`, or `Select` or `Mean` with the dimension to drop"
        if len(output.shape) < len(due.shape):
            return "keep the steps: leave out the layer that drops them, such as `~model.layers.last`"
        return "end with `{type: Linear, out_features: ${data.num_outputs}}`"

    def check(self, model: nn.Module, examples: Examples) -> Iterable[Problem]:
        """The problems of a model that only its outputs show; called before the training."""
        return ()

    def finish(
        self, model: nn.Module, examples: Examples, *, seed: int, folder: Path, console: Console
    ) -> Mapping[str, float]:
        """Does what follows the test, in the run's folder and on the console.

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
