"""The F1 score of several labels, against scikit-learn's, of labels that are nowhere too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modelforge.train.label_f1 import LabelF1

metrics = pytest.importorskip("sklearn.metrics", reason="the extra `train`")


def score(predicted: np.ndarray, targets: np.ndarray) -> float:
    meter = LabelF1(targets.shape[1])
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
