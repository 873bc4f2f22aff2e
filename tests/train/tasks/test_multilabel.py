"""Any number of labels at once: loss, balanced weights, predictions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.tasks.multilabel import MultilabelClassification

SCORES = torch.tensor([[1.0, -2.0], [-1.0, 0.5]])
TARGETS = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
DATA = SimpleNamespace(num_outputs=2, given=(), positions=(), ignored_class=None)


def test_the_loss_is_the_mean_binary_cross_entropy():
    right = functional.softplus(torch.tensor([-1.0, -2.0, 1.0, -0.5])).mean()
    assert MultilabelClassification().loss(SCORES, (SCORES, TARGETS)).item() == pytest.approx(right.item())


def test_balanced_weights_are_the_ratio_of_negative_to_positive_examples():
    targets = np.array([[1, 0], [0, 0], [0, 0], [0, 0]], np.float32)
    examples = Examples.of([Arrays(np.zeros((4, 1), np.float32), targets)] * 3)
    task = MultilabelClassification(positive_weights="balanced").prepared(examples, DATA)
    assert task.positive_weights == pytest.approx((3.0, 1.0))
    plain = MultilabelClassification(positive_weights=(3.0, 1.0))
    assert task.loss(SCORES, (SCORES, TARGETS)).item() == plain.loss(SCORES, (SCORES, TARGETS)).item()


def test_predictions_and_report_have_the_names_of_the_labels():
    task = MultilabelClassification()
    columns = task.predictions(SCORES, {"labels": ["wet", "cold"]})
    assert columns["wet"].tolist() == [1, 0]
    assert columns["probability_cold"] == pytest.approx(torch.sigmoid(SCORES[:, 1]).numpy())
    table = task.report(SCORES, TARGETS.numpy(), {"labels": ["wet", "cold"]}, DATA).tables["per_label"]
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


@pytest.mark.parametrize("score", [0.0, 1e-9, -1e-9, 1e-4, -1e-4])
def test_metric_columns_and_report_have_one_threshold(score: float):
    task, scores, targets = MultilabelClassification(), torch.full((3, 2), score), torch.ones(3, 2)
    meter = task.meter(DATA)
    task.count(meter, scores, (scores, targets))
    found = task.report(scores, targets.numpy(), {}, DATA).tables["per_label"]["f1"]
    assert [*found, *task.predictions(scores, {})["0"]] == [meter.compute().item()] * 5


@pytest.mark.parametrize("name", ["y", "ab"])
def test_labels_of_one_array_are_numbered(name: str):
    """Its name is not a list of names, also where it has as many letters as there are labels."""
    task, fitted = MultilabelClassification(), {"labels": name}
    assert [*task.answers(TARGETS, fitted)] == ["target_0", "target_1"]
    assert [*task.predictions(SCORES, fitted)] == ["0", "probability_0", "1", "probability_1"]
    assert task.report(SCORES, TARGETS.numpy(), fitted, DATA).tables["per_label"]["label"] == ["0", "1"]
