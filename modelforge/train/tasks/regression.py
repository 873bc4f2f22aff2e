"""`Regression` and `Autoencoding`: the distance from the target, or from the input itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelforge.core.tensors import TensorValue, Value
from modelforge.core.words import plural
from modelforge.train.data.batches import Batch
from modelforge.train.data.parts import Array, Examples
from modelforge.train.tasks.registry import register_task
from modelforge.train.tasks.report import Report, of_numbers
from modelforge.train.tasks.task import Data, Task, widened, widest, wrong_shape

if TYPE_CHECKING:
    from torchmetrics import Metric

LOSSES = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
}


@register_task("regression")
class Regression(Task):
    """Mean squared error and R², the mean over the targets, of outputs `(batch, num_targets)`.

    Source of the Huber loss: Huber 1964, "Robust estimation of a location parameter"; its δ is 1.
    """

    target_kind: ClassVar = "number"
    metric: ClassVar = "r2"
    reports: ClassVar = True

    objective: Literal["mse", "l1", "huber"] = "mse"
    """The loss, of standardised targets: squared or absolute error, or Huber's."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return LOSSES[self.objective](*_alike(outputs, batch[1]))

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return LOSSES[self.objective](*_alike(outputs, batch[1]), reduction="none").flatten(1).mean(1)

    def wrong_targets(self, targets: Array, data: Data) -> str:
        return wrong_shape(targets, (*data.positions, data.num_outputs))

    def min_examples(self, data: Data) -> int:
        """Two, unless one has several steps: R² compares with the spread of the targets."""
        return 1 if math.prod(data.positions) > 1 else 2

    def meter(self, data: Data) -> Metric:
        from modelforge.train.r2 import R2

        return R2(data.num_outputs)

    def scored(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """In float64, where the device has it: metrics subtract sums of squares. Of sequences all steps."""
        return outputs.flatten(0, -2).to(widest()), batch[1].flatten(0, -2).to(widest())

    def predictions(self, outputs: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """A column for each target, in its own units; of sequences with all steps."""
        columns = np.moveaxis(target_units(outputs, fitted), -1, 0)
        return dict(zip(target_names(fitted, outputs.shape[-1]), columns, strict=True))

    def answers(self, targets: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """A column for each target, in its own units; none for sequences."""
        if targets.ndim != 2:
            return {}
        names = [f"target_{name}" for name in target_names(fitted, targets.shape[1])]
        return dict(zip(names, target_units(targets, fitted).T, strict=True))

    def report(self, outputs: Tensor, targets: Array, fitted: Mapping[str, Any], data: Data) -> Report:
        """Errors and residuals of each target, in its own units; of sequences over all steps."""
        both = (one.flatten(0, -2) for one in (outputs, torch.from_numpy(targets)))
        predicted, right = (target_units(one, fitted) for one in both)
        return of_numbers(predicted, right, target_names(fitted, outputs.shape[-1]))

    def reason(self, data: Data) -> str:
        return f"the data has {plural(data.num_outputs, 'target')}"

    def metric_in_words(self, examples: Examples) -> str:
        return "R²"


@register_task("autoencoding")
class Autoencoding(Task):
    """Mean squared error of outputs that have the shape of the inputs."""

    target_kind: ClassVar = "input"
    metric: ClassVar = "mse"
    lower_is_better: ClassVar = ("loss", "mse")

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return functional.mse_loss(*_alike(outputs, _input(batch)))

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return functional.mse_loss(*_alike(outputs, _input(batch)), reduction="none").flatten(1).mean(1)

    def meter(self, data: Data) -> Metric:
        from torchmetrics import MeanSquaredError

        return MeanSquaredError()

    def scored(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return outputs.to(widest()).contiguous(), _input(batch).to(widest()).contiguous()

    def reason(self, data: Data) -> str:
        return "an autoencoder gives back its input"

    def output(self, data: Data) -> TensorValue:
        return data.given[0]

    def hint(self, output: Value, data: Data) -> str:
        due = self.output(data)
        if not isinstance(output, TensorValue):
            return super().hint(output, data)
        if len(output.shape) == len(due.shape) == 2:
            size = due.shape[1]
            return f"end with `out_features: {size}`; where it is `${{data.num_outputs}}`: `data.num_outputs={size}`"
        return f"end with `{{type: Unflatten, dim: 1, unflattened_size: [{', '.join(map(str, due.shape[1:]))}]}}`"

    def metric_in_words(self, examples: Examples) -> str:
        return "mean squared error"


def target_names(fitted: Mapping[str, Any], number: int) -> list[str]:
    """The names of the targets of a regression, in their order."""
    names = (fitted.get("targets") or {}).get("names")
    if isinstance(names, list | tuple):
        return [str(name) for name in names]
    return ["prediction"] if number == 1 else [f"prediction_{index}" for index in range(number)]


def target_units(values: Tensor, fitted: Mapping[str, Any]) -> Array:
    """Outputs or targets of a regression `(..., targets)` in the units of the data, in float64."""
    scale = fitted.get("targets") or {}
    numbers = values.double().numpy()
    if scale.get("mean") is None:
        return numbers
    return numbers * np.asarray(scale["std"]) + np.asarray(scale["mean"])


def _alike(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one dtype, float32 at least."""
    wide = widened(outputs)
    return wide, targets.to(wide.dtype)


def _input(batch: Batch) -> Tensor:
    """The input of a batch that has one; no data with several inputs is for autoencoders."""
    assert isinstance(batch[0], Tensor)
    return batch[0]
