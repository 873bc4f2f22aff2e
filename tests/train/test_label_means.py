"""Scores of several labels, against scikit-learn's, of labels that are nowhere too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.classification import (
    MultilabelF1Score,
    MultilabelJaccardIndex,
    MultilabelPrecision,
    MultilabelRecall,
)

from modelforge.train.label_means import LABEL_MEANS, LabelF1, over_present

metrics = pytest.importorskip("sklearn.metrics", reason="the extra `train`")


def score(predicted: np.ndarray, targets: np.ndarray) -> float:
    meter = LabelF1(num_labels=targets.shape[1])
    for rows in np.array_split(np.arange(len(targets)), 2):
        meter.update(torch.from_numpy(predicted[rows]).float(), torch.from_numpy(targets[rows]))
    return meter.compute().item()


def test_a_label_that_is_nowhere_does_not_count():
    """Perfect predictions of three labels, of which one has no example, had 0.667."""
    targets = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    assert score(targets, targets) == 1
    wrong = targets.copy()
    wrong[0, 2] = 1  # predicted, and never right
    assert score(wrong, targets) == pytest.approx(2 / 3)


def test_where_no_label_counts_all_is_right():
    assert score(np.zeros((4, 3), int), np.zeros((4, 3), int)) == 1


def test_it_is_the_mean_of_scikit_learn_without_what_is_undefined():
    random = np.random.default_rng(0)
    predicted, targets = random.integers(2, size=(2, 40, 5))
    predicted[:, 3] = targets[:, 3] = 0
    expected = metrics.f1_score(targets, predicted, average="macro", zero_division=np.nan)
    assert score(predicted, targets) == pytest.approx(expected)


def scored(kind: type[Any], predicted: np.ndarray, targets: np.ndarray, **arguments: Any) -> float:
    meter = over_present(kind, arguments)(num_labels=targets.shape[1], **arguments)
    meter.update(torch.from_numpy(predicted).float(), torch.from_numpy(targets))
    return meter.compute().item()


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (MultilabelF1Score, metrics.f1_score),
        (MultilabelPrecision, metrics.precision_score),
        (MultilabelRecall, metrics.recall_score),
        (MultilabelJaccardIndex, metrics.jaccard_score),
    ],
)
def test_further_metrics_leave_the_same_labels_out(kind: type[Any], function: Callable[..., float]):
    random = np.random.default_rng(0)
    predicted, targets = random.integers(2, size=(2, 40, 5))
    predicted[:, 3] = targets[:, 3] = 0
    there = [0, 1, 2, 4]
    expected = function(targets[:, there], predicted[:, there], average="macro")
    assert scored(kind, predicted, targets) == pytest.approx(expected)
    assert scored(kind, predicted, targets, zero_division=0.0) == pytest.approx(expected * 4 / 5)
    assert scored(kind, predicted, targets, average="micro") == pytest.approx(
        function(targets, predicted, average="micro")
    )


def test_every_mean_is_that_of_torchmetrics_where_all_labels_are_there():
    random = np.random.default_rng(1)
    predicted, targets = random.integers(2, size=(2, 40, 3))
    for kind in LABEL_MEANS:
        beta = {"beta": 2.0} if kind.__name__ == "MultilabelFBetaScore" else {}
        whole = kind(num_labels=3, **beta)
        whole.update(torch.from_numpy(predicted).float(), torch.from_numpy(targets))
        assert scored(kind, predicted, targets, **beta) == pytest.approx(whole.compute().item())
