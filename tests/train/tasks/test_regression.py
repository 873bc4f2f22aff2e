"""Regression: predictions and right answers in the units of the data."""

from __future__ import annotations

import pytest
import torch

from modelforge.train.tasks.regression import Regression, target_names, target_units

FITTED = {"targets": {"names": ["price", "size"], "mean": [10.0, 1.0], "std": [2.0, 0.5]}}
VALUES = torch.tensor([[0.0, 2.0], [-1.0, 0.0]])


def test_predictions_and_answers_have_the_units_of_the_data():
    task = Regression(type="regression")
    found = {**task.predictions(VALUES, FITTED), **task.answers(VALUES, FITTED)}
    price, size = [10.0, 8.0], [2.0, 1.0]
    assert {name: column.tolist() for name, column in found.items()} == {
        "price": price, "size": size, "target_price": price, "target_size": size,
    }  # fmt: skip


def test_without_scales_they_stay():
    assert target_units(VALUES, {}).tolist() == VALUES.tolist()
    assert target_names({}, 1) == ["prediction"]
    assert target_names({}, 2) == ["prediction_0", "prediction_1"]


@pytest.mark.parametrize(("objective", "loss"), [("mse", 1.25), ("l1", 0.75), ("huber", 0.5)])
def test_objectives(objective: str, loss: float):
    task = Regression(type="regression", objective=objective)
    assert float(task.loss(VALUES, (VALUES, torch.zeros(2, 2)))) == pytest.approx(loss)
