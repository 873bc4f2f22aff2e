"""`Regression` and `Autoencoding`: the distance from the target, or from the input itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor
from torch.nn import functional

from modelforge.core.tensors import TensorValue, Value
from modelforge.core.words import plural
from modelforge.train.data.batches import Batch
from modelforge.train.data.parts import Examples
from modelforge.train.tasks.registry import register_task
from modelforge.train.tasks.task import Task

if TYPE_CHECKING:
    from torchmetrics import Metric


@register_task("regression")
class Regression(Task):
    """Mean squared error and R², the mean over the targets, of outputs `(batch, num_targets)`."""

    target_kind: ClassVar = "number"
    metric: ClassVar = "r2"

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return functional.mse_loss(outputs.float(), batch[1])

    def meter(self) -> Metric:
        from torchmetrics import R2Score

        return R2Score()

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        meter.update(outputs.float(), batch[1])

    @property
    def reason(self) -> str:
        return f"the data has {plural(self.data.num_outputs, 'target')}"

    def metric_in_words(self, examples: Examples) -> str:
        return "R²"


@register_task("autoencoding")
class Autoencoding(Task):
    """Mean squared error of outputs that have the shape of the inputs."""

    target_kind: ClassVar = "input"
    metric: ClassVar = "mse"
    lower_is_better: ClassVar = ("loss", "mse")

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return functional.mse_loss(outputs.float(), _input(batch))

    def meter(self) -> Metric:
        from torchmetrics import MeanSquaredError

        return MeanSquaredError()

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        meter.update(outputs.float().contiguous(), _input(batch).contiguous())

    @property
    def reason(self) -> str:
        return "an autoencoder gives back its input"

    @property
    def output(self) -> TensorValue:
        return self.data.given[0]

    def hint(self, output: Value) -> str:
        due = self.output
        if not isinstance(output, TensorValue):
            return super().hint(output)
        if len(output.shape) == len(due.shape) == 2:
            size = due.shape[1]
            return f"end with `out_features: {size}`; where it is `${{data.num_outputs}}`: `data.num_outputs={size}`"
        return f"end with `{{type: Unflatten, dim: 1, unflattened_size: [{', '.join(map(str, due.shape[1:]))}]}}`"

    def metric_in_words(self, examples: Examples) -> str:
        return "mean squared error"


def _input(batch: Batch) -> Tensor:
    """The input of a batch that has one; no data with several inputs is for autoencoders."""
    assert isinstance(batch[0], Tensor)
    return batch[0]
