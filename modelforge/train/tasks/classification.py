"""`Classification`: which class, for each example or for each step of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from modelforge.core.complaints import Alternatives
from modelforge.core.frozen import AsTuple
from modelforge.core.words import plural
from modelforge.train.data.batches import Batch
from modelforge.train.data.parts import Array, Examples, all_targets
from modelforge.train.tasks.registry import register_task
from modelforge.train.tasks.report import Report, of_classes
from modelforge.train.tasks.task import Data, Task, first_wrong, widened, wrong_shape

if TYPE_CHECKING:
    from torchmetrics import Metric

IGNORED = -100
"""The label that torch's cross entropy leaves out; here every label below 0 is."""
MAX_CLASSES = 20
"""Classes of which a run keeps all probabilities for each example of its test part."""
NUM_LIKELIEST = 5
"""Classes that it keeps of more than these."""
Weights = Annotated[tuple[Annotated[float, Field(gt=0)], ...], AsTuple]


@register_task("classification")
class Classification(Task):
    """Cross entropy and accuracy of scores `(batch, ..., num_classes)`.

    Source of label smoothing: Szegedy et al. 2016, arXiv:1512.00567, section 7. Balanced weights are
    n / (num_classes · n_c), as in scikit-learn; King & Zeng 2001, "Logistic regression in rare events data".
    """

    target_kind: ClassVar = "class"
    metric: ClassVar = "accuracy"
    family: ClassVar = "Multiclass"
    reports: ClassVar = True

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread evenly over all classes."""
    class_weights: Annotated[Literal["balanced"] | Weights, Alternatives] | None = None
    """A weight for each class in the loss, in their order; `balanced`: in inverse proportion to their frequency in the
    training part. Null: each example counts the same."""

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return mean_information(outputs, batch[1], **self._settings(outputs))

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return information(outputs, batch[1], **self._settings(outputs))

    def _settings(self, outputs: Tensor) -> dict[str, Any]:
        """Those of the cross entropy."""
        weights = None if self.class_weights is None else widened(outputs).new_tensor(self.class_weights)
        return {"weight": weights, "label_smoothing": self.label_smoothing}

    def weight(self, batch: Batch) -> Tensor:
        """The weights of the classes of all examples; for each step of a sequence its share of the example."""
        if self.class_weights is None:
            return num_counted(batch[1])
        labels = batch[1]
        weights = labels.new_tensor(self.class_weights, dtype=torch.float)[labels.clamp(0)] * (labels >= 0)
        return weights.sum() / (labels[0].numel() or 1)

    def prepared(self, examples: Examples, data: Data) -> Self:
        """The task with numbers in place of `balanced`; a class that the training part lacks gets weight 1."""
        if self.class_weights != "balanced":
            return self
        labels = all_targets(examples.train)
        counts = np.bincount(labels[labels >= 0], minlength=data.num_outputs)
        weights = np.where(counts, counts.sum() / (len(counts) * np.maximum(counts, 1)), 1.0)
        return self.model_copy(update={"class_weights": tuple(weights.tolist())})

    def wrong_settings(self, data: Data) -> Iterator[tuple[str, str]]:
        if data.num_outputs < 2:
            yield "type", "a classification needs at least 2 classes, but there is 1: for yes and no write 2"
        if isinstance(self.class_weights, tuple) and len(self.class_weights) != data.num_outputs:
            given = plural(len(self.class_weights), "weight")
            yield "class_weights", f"`class_weights` has {given}, but there are {data.num_outputs} classes"
        if data.ignored_class is not None and data.ignored_class >= data.num_outputs:
            given = f"the ignored class of the data is {data.ignored_class}, but there are {data.num_outputs} classes"
            yield "type", f"{given}: it must be one of them, or below 0, such as {IGNORED}"

    def wrong_targets(self, targets: Array, data: Data) -> str:
        if reason := wrong_shape(targets, data.positions):
            return reason
        wrong = ((targets < 0) | (targets >= data.num_outputs)) & (targets != data.ignored_class)
        if not wrong.any():
            return ""
        row, value = first_wrong(targets, wrong)
        return f"the target must hold classes from 0 to {data.num_outputs - 1}, but has {value} in {row}"

    def meter(self, data: Data) -> Metric:
        from torchmetrics.classification import MulticlassAccuracy

        return MulticlassAccuracy(data.num_outputs, average="micro", ignore_index=data.ignored_class)

    def scored(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Probabilities: torchmetrics would ask of each batch on its own whether its scores are."""
        return widened(outputs).flatten(0, -2).softmax(-1), batch[1].flatten()

    def predictions(self, outputs: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """The class with the largest score, its probability, and for single targets the probability of each class."""
        probabilities = torch.softmax(outputs.double(), -1)
        chances, best = (found.numpy() for found in probabilities.max(-1))
        names = np.asarray(fitted.get("classes") or range(outputs.shape[-1]))
        columns = {"prediction": names[best], "probability": chances}
        if outputs.ndim > 2:
            return columns
        return columns | {
            f"probability_{name}": values for name, values in zip(names, probabilities.T.numpy(), strict=True)
        }

    def kept_predictions(self, outputs: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """Of many classes the likeliest, in place of the probability of each: `prediction_2`, `probability_2`, ..."""
        columns = self.predictions(outputs, fitted)
        if outputs.ndim > 2 or outputs.shape[1] <= MAX_CLASSES:
            return columns
        chances, best = (found.T.numpy() for found in torch.softmax(outputs.double(), -1).topk(NUM_LIKELIEST))
        names = np.asarray(fitted.get("classes") or range(outputs.shape[1]))
        kept = {name: values for name, values in columns.items() if not name.startswith("probability_")}
        for number in range(1, NUM_LIKELIEST):
            kept[f"prediction_{number + 1}"] = names[best[number]]
            kept[f"probability_{number + 1}"] = chances[number]
        return kept

    def answers(self, targets: Tensor, fitted: Mapping[str, Any]) -> Mapping[str, Array]:
        """The class of each example, None for a label that does not count; nothing for sequences."""
        names, labels = fitted.get("classes"), targets.numpy()
        if targets.ndim != 1:
            return {}
        if not names:
            return {"target": labels}
        if (labels >= 0).all():
            return {"target": np.asarray(names)[labels]}
        return {"target": np.asarray([None if label < 0 else names[label] for label in labels], object)}

    def report(self, outputs: Tensor, targets: Array, fitted: Mapping[str, Any], data: Data) -> Report:
        """Confusion matrix, scores of each class, and calibration, of the labels that the metric counts."""
        labels = targets.ravel()
        counts = (labels >= 0) & (labels != data.ignored_class)
        probabilities = torch.softmax(outputs.flatten(0, -2).double(), -1).numpy()
        names = fitted.get("classes") or range(probabilities.shape[1])
        return of_classes(probabilities[counts], labels[counts], names) if counts.any() else Report()

    def reason(self, data: Data) -> str:
        classes = f"the data has {plural(data.num_outputs, 'class')}"
        if len(data.positions) > 1:  # as of pixels
            return f"{classes} at each of {' × '.join(map(str, data.positions))} places"
        return f"{classes} at each of {plural(data.positions[0], 'step')}" if data.positions else classes


def mean_information(scores: Tensor, labels: Tensor, **settings: Any) -> Tensor:
    """Cross entropy: the mean information of the labels in nats, in float32 at least; 0 where no label counts."""
    mean = functional.cross_entropy(widened(scores).flatten(0, -2), _counting(labels).flatten(), **settings)
    return mean.where((labels >= 0).any(), 0.0)


def information(scores: Tensor, labels: Tensor, **settings: Any) -> Tensor:
    """What each example adds to it: the sum over its steps, divided by their number."""
    each = functional.cross_entropy(
        widened(scores).flatten(0, -2), _counting(labels).flatten(), **settings, reduction="none"
    )
    return each.view(len(labels), -1).mean(1)


def num_counted(labels: Tensor) -> Tensor:
    """The number of examples that count; each step of a sequence is its share of one."""
    return (labels >= 0).sum() / (labels[0].numel() or 1)


def _counting(labels: Tensor) -> Tensor:
    """Labels as torch's cross entropy takes them."""
    return labels.where(labels >= 0, IGNORED)
