"""Classification: label smoothing, class weights, predictions with names, and the report."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.tasks.classification import Classification

SCORES = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
LABELS = torch.tensor([0, 1, 0, 2])
BATCH = (torch.zeros(4, 1), LABELS)


def examples(labels: list[int], classes: int = 3) -> Examples:
    part = Arrays(np.zeros((len(labels), 1), np.float32), np.array(labels))
    return Examples.of([part] * 3, fitted={"classes": list(range(classes))})


def test_label_smoothing_mixes_with_the_uniform_distribution():
    smooth = Classification(label_smoothing=0.3).loss(SCORES, BATCH)
    logs = torch.log_softmax(SCORES, 1)
    right = 0.7 * functional.nll_loss(logs, LABELS) - 0.3 * logs.mean(1).mean()
    assert smooth.item() == pytest.approx(right.item())


def test_balanced_weights_are_in_inverse_proportion_to_the_training_part():
    task = Classification(class_weights="balanced").prepared(examples([0, 0, 0, 1, 1, 1, 1, 1, 2, 2]))
    assert task.class_weights == pytest.approx((10 / 9, 10 / 15, 10 / 6))
    weights = torch.tensor(task.class_weights)[LABELS]
    each = functional.cross_entropy(SCORES, LABELS, reduction="none")
    assert task.loss(SCORES, BATCH).item() == pytest.approx(((weights * each).sum() / weights.sum()).item())


def test_a_class_that_is_not_there_gets_weight_one():
    task = Classification(class_weights="balanced").prepared(examples([0, 0, 1, 1]))
    assert task.class_weights == pytest.approx((4 / 6, 4 / 6, 1.0))


def test_predictions_have_the_names_of_the_classes():
    columns = Classification().predictions(SCORES, {"classes": ["cat", "dog", "eel"]})
    assert columns["prediction"].tolist() == ["cat", "dog", "dog", "eel"]
    assert set(columns) == {"prediction", "probability", "probability_cat", "probability_dog", "probability_eel"}
    assert columns["probability_cat"][0] == pytest.approx(np.exp(2) / (np.exp(2) + 2))
    assert sum(columns[f"probability_{name}"] for name in ("cat", "dog", "eel")) == pytest.approx(np.ones(4))


def test_the_report_counts_as_by_hand():
    report = Classification().report(SCORES, LABELS.numpy(), {"classes": ["cat", "dog", "eel"]})
    assert report.tables["confusion_matrix"] == {
        "class": ["cat", "dog", "eel"],
        "cat": [1, 0, 0],
        "dog": [1, 1, 0],
        "eel": [0, 0, 1],
    }
    table = report.tables["per_class"]
    assert table["precision"] == [1.0, 0.5, 1.0]
    assert table["recall"] == [0.5, 1.0, 1.0]
    assert table["examples"] == [2, 1, 1]
    confidence = torch.softmax(SCORES.double(), 1).max(1).values.numpy()
    right = np.array([1, 1, 0, 1])
    bins = (confidence * 10).astype(int)
    error = (
        sum(abs(right[bins == one].mean() - confidence[bins == one].mean()) * (bins == one).sum() for one in set(bins))
        / 4
    )
    assert report.numbers["calibration_error"] == pytest.approx(error)


@pytest.mark.parametrize(
    ("task", "key", "message"),
    [
        ("{type: classification, label_smoothing: 1}", "data.task.label_smoothing", "must be less than 1, but is 1"),
        ("{type: classification, class_weights: [1, 2]}", "data.task.class_weights", "has 2 weights, but there are 10"),
        ("{type: classification, class_weights: even}", "data.task.class_weights", "must be"),
        ("{type: classification, class_weights: [-1]}", "data.task.class_weights", "must be"),
        ("{type: classification, smoothing: 0.1}", "data.task.smoothing", "has no key `smoothing`"),
        ("{type: clasification}", "data.task.type", "unknown task `clasification`"),
        ("{label_smoothing: 0.1}", "data.task", "must be the name of a task"),
        ("3", "data.task", "must be the name of a task"),
    ],
)
def test_wrong_settings(train, task: str, key: str, message: str):
    error = train(f"data.task={task}").status.error
    assert key in [problem["path"] for problem in error] or error[0]["path"].startswith(key)
    assert message in " ".join(problem["message"] for problem in error)


def test_a_run_with_settings(train):
    result = train("data.task={type: classification, label_smoothing: 0.1, class_weights: balanced}")
    assert result.exit_code == 0, result.status.error
    assert result.status.metrics["test/accuracy"] > 0.7
