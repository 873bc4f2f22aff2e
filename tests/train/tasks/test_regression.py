"""Regression: losses, predictions in the units of the data, and the report."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from modelforge.train.metrics import parse_metrics
from modelforge.train.tasks.regression import Autoencoding, Regression
from modelforge.train.trained_run import load_run
from tests.train.tables import csv

OUTPUTS = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
TARGETS = torch.tensor([[0.5, 1.0], [0.0, -1.5]])
DATA = SimpleNamespace(num_outputs=2, given=(), positions=(), ignored_class=None)
FITTED = {"targets": {"names": ["price", "size"], "mean": [100.0, 5.0], "std": [10.0, 2.0]}}


@pytest.mark.parametrize(
    ("objective", "value"),
    [("mse", (0.25 + 4 + 0.25) / 4), ("l1", (0.5 + 2 + 0.5) / 4), ("huber", (0.125 + 1.5 + 0.125) / 4)],
)
def test_the_loss(objective: str, value: float):
    task = Regression(objective=objective)  # pyright: ignore[reportArgumentType]  # one of its three
    assert task.loss(OUTPUTS, (OUTPUTS, TARGETS)).item() == pytest.approx(value)


def test_predictions_are_in_the_units_of_the_data():
    columns = Regression().predictions(OUTPUTS, FITTED)
    assert columns["price"].tolist() == [100.0, 120.0]
    assert columns["size"].tolist() == [7.0, 3.0]


def test_without_a_scale_they_are_the_outputs():
    assert list(Regression().predictions(OUTPUTS, {})) == ["prediction_0", "prediction_1"]
    assert Regression().predictions(OUTPUTS[:, :1], {})["prediction"].tolist() == [0.0, 2.0]
    unscaled = {"targets": {"names": ["a", "b"], "mean": None, "std": None}}
    assert Regression().predictions(OUTPUTS, unscaled)["b"].tolist() == [1.0, -1.0]


def test_the_report_is_in_the_units_of_the_data():
    report = Regression().report(OUTPUTS, TARGETS.numpy(), FITTED, DATA)
    table = report.tables["per_target"]
    assert table["target"] == ["price", "size"]
    assert table["rmse"] == pytest.approx([np.sqrt((25 + 400) / 2), np.sqrt(0.5)])
    assert table["mae"] == pytest.approx([12.5, 0.5])
    assert table["r2"] == pytest.approx([1 - 425 / 12.5, 1 - 1 / 12.5])
    assert sorted(report.figures) == ["price_predictions", "price_residuals", "size_predictions", "size_residuals"]


def test_of_sequences_every_step_counts():
    """One example of two steps gives what two examples give."""
    task, steps = Regression(), (OUTPUTS[None], TARGETS[None])
    meters = [task.meter(DATA), task.meter(DATA)]
    for meter, (outputs, targets) in zip(meters, [steps, (OUTPUTS, TARGETS)], strict=True):
        task.count(meter, outputs, (outputs, targets))
    assert meters[0].compute() == meters[1].compute()
    reports = task.report(steps[0], steps[1].numpy(), FITTED, DATA), task.report(OUTPUTS, TARGETS.numpy(), FITTED, DATA)
    assert reports[0] == reports[1]
    assert task.predictions(steps[0], FITTED)["price"].tolist() == [[100.0, 120.0]]
    assert task.answers(steps[1], FITTED) == {}


def test_an_autoencoder_gives_its_outputs():
    assert Autoencoding().predictions(OUTPUTS, FITTED)["output"].shape == (2, 2)


def test_right_answers_are_in_the_units_of_the_data():
    found = Regression().answers(TARGETS, FITTED)
    assert {name: column.tolist() for name, column in found.items()} == {
        "target_price": [105.0, 100.0],
        "target_size": [7.0, 2.0],
    }
    assert Autoencoding().answers(TARGETS, FITTED) == {}


@pytest.mark.parametrize("size", [80, 16, 3])
@pytest.mark.parametrize("kind", ["ExplainedVariance", "R2Score", "RelativeSquaredError", "PearsonCorrCoef"])
def test_further_metrics_subtract_no_sums_of_float32(kind: str, size: int):
    source = csv(task="regression", target="price", num_outputs=1)
    factories, problems = parse_metrics({"it": kind}, source.task, source)
    assert problems == []
    noise = torch.randn(80, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for mean in (0, 2**13):
        metric = factories["it"]()
        right = (noise[:, :1] * 2**8).round() / 2**8 + mean  # no digit of which float32 loses
        predicted = right + (noise[:, 1:] * 2**7).round() / 2**8
        for one, other in zip(predicted.float().split(size), right.float().split(size), strict=True):
            metric.update(*source.task.scored(one, (one, other)))
        found.append(float(metric.compute()))
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_a_run_whose_targets_are_far_from_0(train, tmp_path: Path):
    """The metric of the run is that of its report."""
    inputs = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    np.savez(tmp_path / "far.npz", x=inputs, y=inputs.sum(1, keepdims=True) + 1e4)
    data = ("data.task=regression", "data.num_outputs=1", "data.input.shape=[3]")
    result = train("model=mlp", "data=npz", f"data.path={tmp_path / 'far.npz'}", *data, "data.standardize=false")
    assert result.exit_code == 0, result.status.error
    found = load_run(tmp_path / "run").evaluate()
    (of_target,) = found.report.tables["per_target"]["r2"]
    assert result.status.metrics["test/r2"] == pytest.approx(of_target, rel=1e-3)
    assert of_target < -1e4
