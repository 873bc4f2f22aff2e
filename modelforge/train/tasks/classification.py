"""`Classification`: which class, for each example or for each step of one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy

from modelforge.train.data.batches import Batch
from modelforge.train.tasks.task import Task


class Classification(Task):
    """Cross entropy and accuracy of scores `(batch, ..., num_classes)`.

    Args:
        num_classes: How many classes there are.
        ignored_class: One that accuracy does not count.
    """

    def __init__(self, num_classes: int, ignored_class: int | None = None) -> None:
        self.num_classes = num_classes
        self.ignored_class = ignored_class

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(outputs, batch[1])

    def meter(self) -> Metric:
        return MulticlassAccuracy(self.num_classes, average="micro", ignore_index=self.ignored_class)

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        meter.update(outputs.flatten(0, -2), batch[1].flatten())


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean information of the labels in nats, in float32 at least."""
    return functional.cross_entropy(scores.flatten(0, -2).float(), labels.flatten())
