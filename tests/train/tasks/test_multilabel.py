"""Any number of labels at once: loss, balanced weights, predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.tasks.multilabel import MultilabelClassification

SCORES = torch.tensor([[1.0, -2.0], [-1.0, 0.5]])
TARGETS = torch.tensor([[1.0, 0.0], [1.0, 1.0]])


def test_the_loss_is_the_mean_binary_cross_entropy():
    right = functional.softplus(torch.tensor([-1.0, -2.0, 1.0, -0.5])).mean()
    assert MultilabelClassification().loss(SCORES, (SCORES, TARGETS)).item() == pytest.approx(right.item())


def test_balanced_weights_are_the_ratio_of_negative_to_positive_examples():
    targets = np.array([[1, 0], [0, 0], [0, 0], [0, 0]], np.float32)
    examples = Examples.of([Arrays(np.zeros((4, 1), np.float32), targets)] * 3)
    task = MultilabelClassification(positive_weights="balanced").prepared(examples)
    assert task.positive_weights == pytest.approx((3.0, 1.0))
    plain = MultilabelClassification(positive_weights=(3.0, 1.0))
    assert task.loss(SCORES, (SCORES, TARGETS)).item() == plain.loss(SCORES, (SCORES, TARGETS)).item()


def test_predictions_and_report_have_the_names_of_the_labels():
    task = MultilabelClassification()
    columns = task.predictions(SCORES, {"labels": ["wet", "cold"]})
    assert columns["wet"].tolist() == [1, 0]
    assert columns["probability_cold"] == pytest.approx(torch.sigmoid(SCORES[:, 1]).numpy())
    table = task.report(SCORES, TARGETS.numpy(), {"labels": ["wet", "cold"]}).tables["per_label"]
    assert table == {
        "label": ["wet", "cold"],
        "precision": [1, 1],
        "recall": [0.5, 1],
        "f1": [pytest.approx(2 / 3), 1],
        "examples": [2, 1],
    }


def test_right_answers_have_the_names_of_the_labels():
    found = MultilabelClassification().answers(TARGETS, {"labels": ["wet", "cold"]})
    assert {name: column.tolist() for name, column in found.items()} == {"target_wet": [1, 1], "target_cold": [0, 1]}


@pytest.mark.parametrize("name", ["y", "ab"])
def test_labels_of_one_array_are_numbered(name: str):
    """Its name is no list of names, also where it has as many letters as there are labels."""
    task, fitted = MultilabelClassification(), {"labels": name}
    assert [*task.answers(TARGETS, fitted)] == ["target_0", "target_1"]
    assert [*task.predictions(SCORES, fitted)] == ["0", "probability_0", "1", "probability_1"]
    assert task.report(SCORES, TARGETS.numpy(), fitted).tables["per_label"]["label"] == ["0", "1"]
