"""`LabelF1`: the mean F1 score over the labels that occur or are predicted."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torchmetrics.classification import MultilabelF1Score


class LabelF1(MultilabelF1Score):
    """The mean of the F1 scores of labels, of which those without an example and a prediction do not count.

    torchmetrics gives such a label 0 and takes it into the mean, unlike a class that is nowhere. Where no label
    counts, all predictions are right, and the mean is 1.

    Args:
        num_labels: How many labels there are.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__(num_labels, average="none")

    def compute(self) -> Tensor:
        """The mean over the labels that count."""
        scores: Any = super().compute()
        tp: Any = self.tp
        counts = (tp + self.fp + self.fn) > 0
        return scores[counts].mean() if bool(counts.any()) else scores.new_ones(())
