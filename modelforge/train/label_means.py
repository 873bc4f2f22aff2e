"""label_means: scores of several labels, whose mean is over the labels that occur or are predicted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MultilabelF1Score,
    MultilabelFBetaScore,
    MultilabelJaccardIndex,
    MultilabelPrecision,
    MultilabelRecall,
)


class _LabelMean(Metric):
    """The mean of the scores of labels, of which those without an example and a prediction do not count.

    torchmetrics gives such a label 0 and takes it into the mean, unlike a class that is nowhere. Where no label
    counts, all predictions are right, and the mean is 1.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**{**arguments, "average": "none"})

    def compute(self) -> Tensor:
        """The mean over the labels that count."""
        scores: Any = super().compute()
        counts = self._found() > 0
        return scores[counts].mean() if bool(counts.any()) else scores.new_ones(())

    def _found(self) -> Tensor:
        """How many examples have each label, or are predicted to."""
        tp: Any = self.tp
        return tp + self.fp + self.fn


class LabelF1(_LabelMean, MultilabelF1Score):
    """F1; the metric of the task."""


class LabelFBeta(_LabelMean, MultilabelFBetaScore):
    """F of any beta."""


class LabelPrecision(_LabelMean, MultilabelPrecision):
    """Precision."""


class LabelRecall(_LabelMean, MultilabelRecall):
    """Recall."""


class LabelJaccard(_LabelMean, MultilabelJaccardIndex):
    """Intersection over union."""

    def _found(self) -> Tensor:
        counts: Any = self.confmat
        return counts[:, 1, 1] + counts[:, 0, 1] + counts[:, 1, 0]


LABEL_MEANS: Mapping[type[Metric], type[Metric]] = MappingProxyType(
    {
        MultilabelF1Score: LabelF1,
        MultilabelFBetaScore: LabelFBeta,
        MultilabelPrecision: LabelPrecision,
        MultilabelRecall: LabelRecall,
        MultilabelJaccardIndex: LabelJaccard,
    }
)
"""torchmetrics' means over all labels → those over the labels that count."""


def over_present(kind: type[Metric], arguments: Mapping[str, Any]) -> type[Metric]:
    """The metric itself, or the one whose mean leaves out labels that are nowhere.

    A mean of another kind, and one whose `zero_division` says what such a label scores, stay as they are.
    """
    plain = {"average": "macro", "multidim_average": "global"}
    asked = any(arguments.get(name, value) != value for name, value in plain.items()) or "zero_division" in arguments
    return kind if asked else LABEL_MEANS.get(kind, kind)
