"""`Regression` and `Autoencoding`: how far from the target, or from the input itself."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanSquaredError, Metric, R2Score

from modelforge.train.data.batches import Batch
from modelforge.train.tasks.task import Task


class Regression(Task):
    """Mean squared error and R², the mean over the targets, of outputs `(batch, num_targets)`."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return functional.mse_loss(outputs.float(), batch[1])

    def meter(self) -> Metric:
        return R2Score()

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        meter.update(outputs.float(), batch[1])


class Autoencoding(Task):
    """Mean squared error of outputs that have the shape of the inputs."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return functional.mse_loss(outputs.float(), _only(batch))

    def meter(self) -> Metric:
        return MeanSquaredError()

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        meter.update(outputs.float().contiguous(), _only(batch).contiguous())


def _only(batch: Batch) -> Tensor:
    """The input of a batch that has one; data with several is for no autoencoder."""
    assert isinstance(batch[0], Tensor)
    return batch[0]
