"""`Classification`: which class, for each example or for each step of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor
from torch.nn import functional

from modelforge.core.words import plural
from modelforge.train.data.batches import Batch
from modelforge.train.tasks.registry import register_task
from modelforge.train.tasks.task import Task

if TYPE_CHECKING:
    from torchmetrics import Metric


@register_task("classification")
class Classification(Task):
    """Cross entropy and accuracy of scores `(batch, ..., num_classes)`."""

    target_kind: ClassVar = "class"
    metric: ClassVar = "accuracy"

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(outputs, batch[1])

    def meter(self) -> Metric:
        from torchmetrics.classification import MulticlassAccuracy

        return MulticlassAccuracy(self.data.num_outputs, average="micro", ignore_index=self.data.ignored_class)

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        meter.update(outputs.flatten(0, -2), batch[1].flatten())

    @property
    def reason(self) -> str:
        classes = f"the data has {plural(self.data.num_outputs, 'class')}"
        positions = self.data.positions
        return f"{classes} at each of {plural(positions[0], 'step')}" if positions else classes


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Mean information of the labels in nats, in float32 at least."""
    return functional.cross_entropy(scores.flatten(0, -2).float(), labels.flatten())
