"""The `metrics` section: torchmetrics by name, one's own, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torchmetrics import Metric

from modelforge.train.metrics import (
    HIGHER,
    LOWER,
    METRICS,
    MetricFactory,
    known_metrics,
    parse_metrics,
    register_metric,
    unfit_metrics,
)
from modelforge.train.settings import parse_settings
from modelforge.train.tasks.registry import parse_task
from tests.train.tables import csv, digits, reverse


def parse(section: Any, task: str = "classification"):
    return parse_metrics(section, parse_task(task), digits())


@pytest.mark.parametrize("named", ["F1Score", "MulticlassF1Score", {"type": "F1Score", "average": "macro"}])
def test_a_metric_of_torchmetrics_by_its_name(named: Any):
    factories, problems = parse({"f1": named})
    assert problems == []
    metric = factories["f1"]()
    scores = torch.eye(10)
    metric.update(scores, torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 0]))
    # 0 is right once in one prediction and two examples, 9 never: F1 of 2/3 and 0, the other eight 1.
    assert metric.compute().item() == pytest.approx((8 + 2 / 3) / 10)
    assert factories["f1"].mode == "max"


def test_the_better_direction_is_torchmetrics_own():
    factories, _ = parse({"mae": "MeanAbsoluteError"}, "regression")
    assert factories["mae"].mode == "min"


def test_every_metric_of_torchmetrics_that_gives_one_number_has_a_direction():
    """Of Tweedie's deviance, which states none, the highest was taken for the best."""
    stated = {name for name, kind in known_metrics().items() if kind.higher_is_better is not None}
    of_curves = ("ConfusionMatrix", "AtFixedRecall", "Curve", "ROC", "AtFixedPrecision", "AtSpecificity", "StatScores")
    without = {
        name for name in known_metrics() if name not in stated and not name.endswith((*of_curves, "AtSensitivity"))
    }
    assert without == {*LOWER, *HIGHER}
    factories, _ = parse({"deviance": "TweedieDevianceScore", "pearson": "PearsonCorrCoef"}, "regression")
    assert [factory.mode for factory in factories.values()] == ["min", "max"]


def test_a_metric_of_ones_own_without_a_direction_is_refused():
    class Undirected(Metric):
        def update(self, predictions: torch.Tensor, targets: torch.Tensor) -> None: ...

        def compute(self) -> float:
            return 0.0

    factories = {"it": MetricFactory(Undirected, {})}
    (problem,) = unfit_metrics(factories, parse_task("classification"), digits())
    assert (problem.key, problem.message) == (
        "metrics.it",
        "Undirected does not say whether more or less is better",
    )


def test_null_is_none():
    assert parse({"f1": None}) == ({}, [])


@pytest.mark.parametrize(
    ("section", "key", "message", "hint"),
    [
        (3, "metrics", "`metrics` must be a mapping, but is 3", ""),
        ({"f1": 3}, "metrics.f1", "`f1` must be the name of a metric, or a mapping with a `type`", "F1Score"),
        ({"f1": "F1Skore"}, "metrics.f1", "unknown metric `F1Skore`", "did you mean `F1Score`?"),
        ({"f1": {"type": "F1Skore"}}, "metrics.f1.type", "unknown metric `F1Skore`", "did you mean `F1Score`?"),
        ({"f1": {"type": "F1Score", "averag": "macro"}}, "metrics.f1.averag", "has no argument `averag`", "average"),
        ({"f1": {"type": "F1Score", "average": "mean"}}, "metrics.f1.average", "`average` of", ""),
        ({"f1": {"type": "F1Score", "top_k": 11}}, "metrics.f1", "refuses its arguments", ""),
        ({"accuracy": "F1Score"}, "metrics.accuracy", "`accuracy` is logged already", "choose another name"),
    ],
)
def test_what_is_wrong_with_a_metric(section: Any, key: str, message: str, hint: str):
    factories, (problem,) = parse(section)
    assert factories == {}
    assert problem.key == key
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("metric", "message", "hint"),
    [
        ("ConfusionMatrix", "must give one number here, but gives a tensor of shape (10, 10)", ""),
        ({"type": "F1Score", "average": "none"}, "but gives a tensor of shape (10,)", "write `average: macro`"),
        ("ROC", "must give one number here, but gives tuple", ""),
        ("BinaryF1Score", "BinaryF1Score cannot score the outputs of this task: ", ""),
    ],
)
def test_a_metric_that_is_not_one_number_is_refused_before_the_training(metric: Any, message: str, hint: str):
    factories, problems = parse({"it": metric})
    assert problems == []
    (problem,) = unfit_metrics(factories, parse_task("classification"), digits())
    assert problem.key == "metrics.it"
    assert message in problem.message
    assert problem.hint == hint
    data = {"type": "digits", "task": "classification", "num_classes": 10, "num_outputs": 10}
    _, (told,) = parse_settings({"data": data | {"input": {"shape": [1, 8, 8]}}, "metrics": {"it": metric}})
    assert (told.key, told.message) == (problem.key, problem.message)


@pytest.mark.parametrize("kind", ["MeanSquaredError", "MeanAbsoluteError", "R2Score", "ExplainedVariance"])
def test_of_several_targets_a_metric_is_the_mean(kind: str):
    source = csv(task="regression", target=["price", "height"], num_outputs=2)
    factories, problems = parse_metrics({"it": kind}, source.task, source)
    assert problems == [*unfit_metrics(factories, source.task, source)] == []


TASKS_AND_METRICS = [
    ("classification", "AUROC"), ("classification", "CohenKappa"), ("classification", "CalibrationError"),
    ("autoencoding", "MeanAbsoluteError"), ("classification", {"type": "Accuracy", "average": "macro"}),
]  # fmt: skip


@pytest.mark.parametrize(("task", "metric"), TASKS_AND_METRICS, ids=str)
def test_metrics_of_one_number_fit(task: str, metric: Any):
    factories, problems = parse({"it": metric}, task)
    assert problems == [*unfit_metrics(factories, parse_task(task), digits(task=task))] == []


def test_metrics_of_each_step_fit():
    source = reverse()
    factories, problems = parse_metrics({"it": "F1Score", "far": "HammingDistance"}, source.task, source)
    assert problems == [*unfit_metrics(factories, source.task, source)] == []


def test_all_mistakes_at_once():
    _, problems = parse({"a": "F1Skore", "b": 3, "c": "Precision"})
    assert [problem.key for problem in problems] == ["metrics.a", "metrics.b"]


@pytest.fixture
def own() -> Iterator[None]:
    @register_metric("largest_error")
    class LargestError(Metric):
        """The largest absolute error."""

        higher_is_better = False

        def __init__(self, floor: float = 0.0) -> None:
            super().__init__()
            self.add_state("largest", torch.tensor(floor), dist_reduce_fx="max")

        def update(self, predictions: torch.Tensor, targets: torch.Tensor) -> None:
            self.largest = torch.maximum(self.largest, (predictions - targets).abs().max())

        def compute(self) -> torch.Tensor:
            return self.largest

    yield
    METRICS.remove("largest_error")


@pytest.mark.usefixtures("own")
def test_a_metric_of_ones_own_is_logged_and_can_choose_the_checkpoint(train):
    sizes = ("data.num_steps=4", "data.num_train=64", "data.num_val=32", "data.num_test=32")
    overrides = ("model=lstm", "data=adding", *sizes, "metrics={worst: largest_error, mae: MeanAbsoluteError}")
    result = train(*overrides, "optimized_metric=val/worst")
    assert result.exit_code == 0, result.status.error
    assert set(result.status.metrics) == {"val/worst", "test/worst", "test/mae", "test/r2", "test/loss"}
    assert result.status.metrics["test/worst"] > result.status.metrics["test/mae"] > 0
    assert result.status.lower_is_better == ("loss", "worst", "mae")
    (problem,) = train(*overrides[:-1], "metrics={worst: {type: largest_error, flor: 1}}", folder="x").status.error
    assert problem["path"] == "metrics.worst.flor"
    assert problem["hint"] == "did you mean `floor`?"


def test_only_metrics_are_registered():
    with pytest.raises(TypeError, match="not a subclass"):
        register_metric("none")(dict)  # pyright: ignore[reportArgumentType]  # that is the point
