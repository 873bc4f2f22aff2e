"""`LanguageModelling`: which token comes next, at each position."""

from __future__ import annotations

import math

from torch import Tensor
from torchmetrics import MeanMetric, Metric

from modelforge.train.data.batches import Batch
from modelforge.train.tasks.classification import cross_entropy
from modelforge.train.tasks.task import Task


class LanguageModelling(Task):
    """Cross entropy in nats, and the same in bits, per token, of scores `(batch, positions, vocab_size)`."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return cross_entropy(outputs, batch[1])

    def meter(self) -> Metric:
        return MeanMetric(nan_strategy="disable")

    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        meter.update(cross_entropy(outputs, batch[1]) / math.log(2), batch[1].numel())
