"""`Task`: what Lightning needs to know of a training besides the model."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor
from torchmetrics import Metric

from modelforge.train.data.batches import Batch


class Task(ABC):
    """One loss, and one metric beside it; `modelforge.train.words` has the metric's name."""

    @abstractmethod
    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """What to make small, of one batch; differentiable."""

    @abstractmethod
    def meter(self) -> Metric:
        """A new counter of the metric."""

    @abstractmethod
    def count(self, meter: Metric, outputs: Tensor, batch: Batch) -> None:
        """Adds one batch to a counter."""
