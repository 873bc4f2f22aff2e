"""Classification: label smoothing, class weights, predictions with names, and the report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.metrics import parse_metrics
from modelforge.train.tasks.classification import Classification
from modelforge.train.tasks.registry import parse_task

SCORES = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
LABELS = torch.tensor([0, 1, 0, 2])
BATCH = (torch.zeros(4, 1), LABELS)


def examples(labels: list[Any]) -> Examples:
    return Examples.of([Arrays(np.zeros((len(labels), 1), np.float32), np.array(labels))] * 3)


class Three(SimpleNamespace):
    """Data of three classes."""

    num_outputs, given, positions, ignored_class = 3, (), (), None


def test_label_smoothing_mixes_with_the_uniform_distribution():
    smooth = Classification(label_smoothing=0.3).loss(SCORES, BATCH)
    logs = torch.log_softmax(SCORES, 1)
    right = 0.7 * functional.nll_loss(logs, LABELS) - 0.3 * logs.mean(1).mean()
    assert smooth.item() == pytest.approx(right.item())


def test_balanced_weights_are_in_inverse_proportion_to_the_training_part():
    task = Classification(class_weights="balanced").prepared(examples([0, 0, 0, 1, 1, 1, 1, 1, 2, 2]), Three())
    assert task.class_weights == pytest.approx((10 / 9, 10 / 15, 10 / 6))
    weights = torch.tensor(task.class_weights)[LABELS]
    each = functional.cross_entropy(SCORES, LABELS, reduction="none")
    assert task.loss(SCORES, BATCH).item() == pytest.approx(((weights * each).sum() / weights.sum()).item())


def test_a_class_that_is_not_there_gets_weight_one():
    task = Classification(class_weights="balanced").prepared(examples([0, 0, 1, 1]), Three())
    assert task.class_weights == pytest.approx((4 / 6, 4 / 6, 1.0))


def test_balanced_weights_count_the_steps_of_sequences_and_no_ignored_labels():
    task = Classification(class_weights="balanced").prepared(examples([[0, 1, -100], [1, 2, -100]]), Three())
    assert task.class_weights == pytest.approx((4 / 3, 4 / 6, 4 / 3))


@pytest.mark.parametrize("size", [600, 4, 1])
@pytest.mark.parametrize("kind", ["AUROC", "CalibrationError"])
def test_further_metrics_do_not_depend_on_the_batch_size(kind: str, size: int):
    """Logits that lie within 0 and 1 are not taken for probabilities."""
    draw = torch.Generator().manual_seed(0)
    scores, labels = 0.5 + 0.3 * torch.randn(600, 3, generator=draw), torch.randint(0, 3, (600,), generator=draw)
    factories, _ = parse_metrics({"whole": kind, "parts": kind}, parse_task("classification"), Three())
    whole, parts = (factories[name]() for name in ("whole", "parts"))
    whole.update(scores.softmax(-1), labels)
    for batch in zip(scores.split(size), labels.split(size), strict=True):
        parts.update(*Classification().scored(batch[0], batch))
    assert parts.compute().item() == pytest.approx(whole.compute().item(), abs=1e-6)


SETTINGS = [{}, {"label_smoothing": 0.1}, {"class_weights": (1.0, 2.0, 3.0)}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("ignored", [-100, -1])
def test_where_no_label_counts_the_loss_is_0(settings: dict[str, Any], ignored: int):
    task, scores = Classification(**settings), SCORES.clone().requires_grad_()
    batch = (scores, torch.full((4,), ignored))
    loss = task.loss(scores, batch)
    loss.backward()
    assert scores.grad is not None
    assert (loss.item(), float(task.weight(batch)), scores.grad.abs().sum().item()) == (0, 0, 0)
    assert task.losses(scores.detach(), batch).tolist() == [0] * 4


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("ignored", [-100, -1])
def test_ignored_labels_are_left_out(settings: dict[str, Any], ignored: int):
    task, labels = Classification(**settings), torch.tensor([0, 1, ignored, 2])
    kept = [0, 1, 3]
    assert task.loss(SCORES, (SCORES, labels)).item() == pytest.approx(task.loss(SCORES[kept], (SCORES, LABELS[kept])))
    assert float(task.weight((SCORES, labels))) == float(task.weight((SCORES, LABELS[kept])))
    data = Three(ignored_class=ignored)
    meter = task.meter(data)
    task.count(meter, SCORES, (SCORES, labels))
    assert meter.compute().item() == 1
    report = task.report(SCORES, labels.numpy(), {}, data)
    assert report.numbers["macro_f1"] == 1
    assert report.tables["per_class"]["precision"] == [1, 1, 1]
    assert sum(report.tables["calibration"]["examples"]) == 3
    assert task.answers(labels, {"classes": ["cat", "dog", "eel"]})["target"].tolist() == ["cat", "dog", None, "eel"]
    assert task.report(SCORES, np.full(4, ignored), {}, data).tables == {}


def test_a_report_leaves_out_the_class_that_the_metric_does():
    """Such as the blank of the copying problem, in which the loss counts it."""
    report = Classification().report(SCORES, LABELS.numpy(), {}, Three(ignored_class=0))
    assert report.tables["per_class"]["examples"] == [0, 1, 1]
    assert report.numbers["macro_f1"] == 1


def test_an_ignored_class_that_the_loss_cannot_leave_out_is_refused():
    ((name, message),) = Classification().wrong_settings(Three(ignored_class=255))
    assert name == "type"
    assert message.endswith("there are 3 classes: it must be one of them, or below 0, such as -100")
    assert [
        one for known in (0, 2, -1, -100, None) for one in Classification().wrong_settings(Three(ignored_class=known))
    ] == []


@pytest.mark.parametrize(
    ("positions", "where"), [((), ""), ((4,), " at each of 4 steps"), ((4, 6), " at each of 4 × 6 places")]
)
def test_what_the_data_has_is_said_with_its_places(positions: tuple[int, ...], where: str):
    assert Classification(type="classification").reason(Three(positions=positions)) == f"the data has 3 classes{where}"


def test_predictions_have_the_names_of_the_classes():
    columns = Classification().predictions(SCORES, {"classes": ["cat", "dog", "eel"]})
    assert columns["prediction"].tolist() == ["cat", "dog", "dog", "eel"]
    assert set(columns) == {"prediction", "probability", "probability_cat", "probability_dog", "probability_eel"}
    assert columns["probability_cat"][0] == pytest.approx(np.exp(2) / (np.exp(2) + 2))
    assert sum(columns[f"probability_{name}"] for name in ("cat", "dog", "eel")) == pytest.approx(np.ones(4))


def test_the_report_counts_as_by_hand():
    report = Classification().report(SCORES, LABELS.numpy(), {"classes": ["cat", "dog", "eel"]}, Three())
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


def test_balanced_weights_of_a_source_without_names(train):
    sizes = ("data.num_steps=25", "data.num_train=64", "data.num_val=32", "data.num_test=32")
    task = "data.task={type: classification, class_weights: balanced}"
    result = train("model=lstm", "data=copy", "~model.layers.last", *sizes, task, "trainer.max_epochs=1")
    assert result.exit_code == 0, result.status.error


def test_a_run_with_settings(train):
    result = train("data.task={type: classification, label_smoothing: 0.1, class_weights: balanced}")
    assert result.exit_code == 0, result.status.error
    assert result.status.metrics["test/accuracy"] > 0.7


def test_right_answers_have_the_names_of_the_classes():
    task = Classification()
    assert task.answers(LABELS, {"classes": ["cat", "dog", "eel"]})["target"].tolist() == ["cat", "dog", "cat", "eel"]
    assert task.answers(LABELS, {})["target"].tolist() == [0, 1, 0, 2]
    assert task.answers(LABELS[None], {"classes": ["cat", "dog", "eel"]}) == {}
