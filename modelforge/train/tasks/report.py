"""`Report`: what a task has to say of predictions beside its metrics: numbers, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelforge.report.columns import apart
from modelforge.report.figures import Bars, Figure, HeatMap, Points
from modelforge.train.data.parts import Array

NUM_BINS = 10
"""Bins of confidence, of equal width."""
MAX_POINTS = 5_000
"""Examples that are drawn."""


@dataclass(frozen=True)
class Report:
    """Numbers, tables and figures by name."""

    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    tables: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict[str, Mapping[str, Sequence[Any]]])
    """Columns of equal length; each table becomes a CSV file."""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])
    """Each becomes a PNG file."""


def of_classes(probabilities: Array, labels: Array, names: Sequence[Any]) -> Report:
    """Confusion matrix, precision, recall and F1 of each class, and calibration.

    Formula of the calibration error: the mean over bins of |accuracy - mean confidence|, weighted by their examples.
    Source: Naeini et al. 2015; Guo et al. 2017, arXiv:1706.04599, equation 3, with ten bins.

    Args:
        probabilities: `(examples, classes)`.
        labels: The right class of each example.
        names: The names of the classes.
    """
    from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

    called = [str(name) for name in names]
    predicted, classes = probabilities.argmax(1), np.arange(len(called))
    score: Any = precision_recall_fscore_support
    mean: Any = f1_score
    scores = score(labels, predicted, labels=classes, zero_division=0)
    # Its mean leaves out classes that have neither examples nor predictions.
    macro_f1 = float(mean(labels, predicted, average="macro", zero_division=0))
    columns = dict(zip(("precision", "recall", "f1", "examples"), (one.tolist() for one in scores), strict=True))
    matrix = confusion_matrix(labels, predicted, labels=classes).tolist()
    calibration, error = _calibration(probabilities.max(1), predicted == labels)
    edges = [*calibration["from"], 1.0]
    headed = apart(called, ("class",), "predicted_")
    by_predicted = dict(zip(headed, map(list, zip(*matrix, strict=True)), strict=True))
    return Report(
        {"macro_f1": macro_f1, "calibration_error": error},
        {
            "per_class": {"class": called, **columns},
            "confusion_matrix": {"class": called, **by_predicted},
            "calibration": calibration,
        },
        {
            "confusion_matrix": HeatMap("confusion matrix", "predicted class", "class", called, matrix),
            "calibration": Bars(
                f"calibration: error {error:.3f}",
                "probability of the predicted class",
                "accuracy",
                edges,
                calibration["accuracy"],
            ),
        },
    )


def _calibration(confidence: Array, right: Array) -> tuple[dict[str, list[Any]], float]:
    bins = np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    sums = [np.bincount(bins, weights=one, minlength=NUM_BINS) for one in (confidence, right.astype(np.float64))]
    with np.errstate(invalid="ignore"):
        mean_confidence, accuracy = (np.where(counts, one / counts, 0.0) for one in sums)
    error = float((np.abs(accuracy - mean_confidence) * counts).sum() / max(counts.sum(), 1))
    edges = np.arange(NUM_BINS) / NUM_BINS
    table = {"from": edges, "examples": counts, "confidence": mean_confidence, "accuracy": accuracy}
    return {name: column.tolist() for name, column in table.items()}, error


def of_labels(predicted: Array, targets: Array, names: Sequence[Any]) -> Report:
    """Precision, recall and F1 of each label, from predictions and targets of 0 and 1 `(examples, labels)`."""
    from sklearn.metrics import precision_recall_fscore_support

    score: Any = precision_recall_fscore_support
    scores = score(targets, predicted, average=None, zero_division=0)
    columns = dict(zip(("precision", "recall", "f1", "examples"), (one.tolist() for one in scores), strict=True))
    return Report({}, {"per_label": {"label": [str(name) for name in names], **columns}})


def of_numbers(predicted: Array, targets: Array, names: Sequence[str]) -> Report:
    """Errors of each target in its own units, and how they lie.

    Args:
        predicted: `(examples, targets)`.
        targets: The same of the right values.
        names: The names of the targets.
    """
    errors = predicted - targets
    spread = ((targets - targets.mean(0)) ** 2).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(np.ptp(targets, 0) > 0, 1 - (errors**2).sum(0) / spread, np.nan)
    columns = {
        "rmse": np.sqrt((errors**2).mean(0)),
        "mae": np.abs(errors).mean(0),
        "largest_error": np.abs(errors).max(0),
        "r2": r2,
    }
    shown = slice(None, None, -(-len(errors) // MAX_POINTS) or 1)
    figures: dict[str, Figure] = {}
    for index, name in enumerate(names):
        given, right, off = (one[shown, index].tolist() for one in (predicted, targets, errors))
        figures[f"{name}_predictions"] = Points(f"`{name}`: predictions", "target", "prediction", right, given)
        figures[f"{name}_residuals"] = Points(
            f"`{name}`: residuals", "prediction", "prediction - target", given, off, ideal="zero"
        )
    table = {"target": list(names), **{name: column.tolist() for name, column in columns.items()}}
    return Report({}, {"per_target": table}, figures)
