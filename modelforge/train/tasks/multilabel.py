"""`MultilabelClassification`: which of several labels, any number at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from torch import Tensor
from torch.nn import functional

from modelforge.core.complaints import Alternatives
from modelforge.core.words import plural
from modelforge.train.data.batches import Batch
from modelforge.train.data.parts import Array, Examples, all_targets
from modelforge.train.tasks.classification import Weights
from modelforge.train.tasks.registry import register_task
from modelforge.train.tasks.report import Report, of_labels
from modelforge.train.tasks.task import Data, Task, first_wrong, widened, wrong_shape

if TYPE_CHECKING:
    from torchmetrics import Metric


@register_task("multilabel_classification")
class MultilabelClassification(Task):
    """Binary cross entropy and the mean F1 of scores `(batch, num_labels)`, against targets of 0 and 1."""

    target_kind: ClassVar = "labels"
    metric: ClassVar = "f1"
    family: ClassVar = "Multilabel"
    reports: ClassVar = True

    positive_weights: Annotated[Literal["balanced"] | Weights, Alternatives] | None = None
    """What the loss multiplies each label's positive examples by; `balanced`: by the ratio of negative to positive ones
    in the training part."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return self._information(outputs, batch, "mean")

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return self._information(outputs, batch, "none").mean(1)

    def _information(self, outputs: Tensor, batch: Batch, reduction: str) -> Tensor:
        scores = widened(outputs)
        weights = None if self.positive_weights is None else scores.new_tensor(self.positive_weights)
        return functional.binary_cross_entropy_with_logits(
            scores, batch[1].to(scores.dtype), pos_weight=weights, reduction=reduction
        )

    def prepared(self, examples: Examples, data: Data) -> Self:
        """The task with numbers in place of `balanced`; a label that is never or always there gets weight 1."""
        if self.positive_weights != "balanced":
            return self
        share = all_targets(examples.train).astype(np.float64).mean(0)
        weights = np.where((share > 0) & (share < 1), (1 - share) / np.maximum(share, 1e-12), 1.0)
        return self.model_copy(update={"positive_weights": tuple(weights.tolist())})

    def wrong_settings(self, data: Data) -> Iterator[tuple[str, str]]:
        if data.num_outputs < 2:
            yield "type", "several labels are at least 2, but there is 1: that is a classification in 2 classes"
        if isinstance(self.positive_weights, tuple) and len(self.positive_weights) != data.num_outputs:
            given = plural(len(self.positive_weights), "weight")
            yield "positive_weights", f"`positive_weights` has {given}, but there are {data.num_outputs} labels"

    def wrong_targets(self, targets: Array, data: Data) -> str:
        if reason := wrong_shape(targets, (data.num_outputs,)):
            return reason
        if not (wrong := ~np.isin(targets, (0, 1))).any():
            return ""
        row, value = first_wrong(targets, wrong)
        return f"a label is 0 or 1, but the target has {value:g} in {row}"

    def meter(self, data: Data) -> Metric:
        from modelforge.train.label_means import LabelF1

        return LabelF1(num_labels=data.num_outputs)

    def scored(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        # Scores within 0 and 1 would be taken for probabilities.
        return widened(outputs).sigmoid(), batch[1].long()

    def predictions(self, outputs: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """For each label whether it is predicted, 0 or 1, and its probability."""
        names = label_names(fitted, outputs.shape[-1])
        probabilities, predicted = outputs.double().sigmoid().T.numpy(), _predicted(outputs).T.numpy()
        columns: dict[str, Array] = {}
        for name, values, found in zip(names, probabilities, predicted, strict=True):
            columns |= {name: found, f"probability_{name}": values}
        return columns

    def answers(self, targets: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """For each label whether an example has it, 0 or 1."""
        names = label_names(fitted, targets.shape[-1])
        return {f"target_{name}": column for name, column in zip(names, targets.long().T.numpy(), strict=True)}

    def report(self, outputs: Tensor, targets: Array, fitted: Mapping[str, Any], data: Data) -> Report:
        """The scores of each label."""
        return of_labels(_predicted(outputs).numpy(), targets, label_names(fitted, outputs.shape[1]))

    def reason(self, data: Data) -> str:
        return f"the data has {plural(data.num_outputs, 'label')}"

    def metric_in_words(self, examples: Examples) -> str:
        return "F1"


def label_names(fitted: Mapping[str, Any], number: int) -> list[str]:
    """The names of the labels, in their order; their numbers where one array holds them, or nothing names them."""
    names = fitted.get("labels")
    return [str(name) for name in (names if isinstance(names, list | tuple) else range(number))]


def _predicted(outputs: Tensor) -> Tensor:
    """The labels that are predicted, 0 or 1: by the threshold of torchmetrics, in the dtype of `scored`."""
    return (widened(outputs).sigmoid() > 0.5).long()
