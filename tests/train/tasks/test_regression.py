"""Regression: losses, predictions in the units of the data, and the report."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modelforge.train.tasks.regression import Autoencoding, Regression

OUTPUTS = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
TARGETS = torch.tensor([[0.5, 1.0], [0.0, -1.5]])
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
    report = Regression().report(OUTPUTS, TARGETS.numpy(), FITTED)
    table = report.tables["per_target"]
    assert table["target"] == ["price", "size"]
    assert table["rmse"] == pytest.approx([np.sqrt((25 + 400) / 2), np.sqrt(0.5)])
    assert table["mae"] == pytest.approx([12.5, 0.5])
    assert table["r2"] == pytest.approx([1 - 425 / 12.5, 1 - 1 / 12.5])
    assert sorted(report.figures) == ["price_predictions", "price_residuals", "size_predictions", "size_residuals"]


def test_an_autoencoder_gives_its_outputs():
    assert Autoencoding().predictions(OUTPUTS, FITTED)["output"].shape == (2, 2)
