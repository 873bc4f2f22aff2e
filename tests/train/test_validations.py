"""Trainings that end before their first validation."""

from __future__ import annotations

from typing import Any

import pytest

from modelforge.train.lengths import Lengths
from modelforge.train.validations import without_validation


def said(trainer: dict[str, Any]) -> list[tuple[str, str]]:
    """The key and the number of batches of each warning; there are 20 batches an epoch."""
    found = [*without_validation(Lengths(200, 10, trainer), "val/accuracy")]
    assert {problem.code for problem in found} <= {"MW221"}
    return [(problem.key, problem.message) for problem in found]


@pytest.mark.parametrize(
    ("trainer", "name", "first", "batches"),
    [
        ({"max_epochs": 2, "check_val_every_n_epoch": 3}, "check_val_every_n_epoch", "60 batches", 40),
        ({"max_epochs": 2, "max_steps": 19}, "max_steps", "20 batches", 19),
        ({"max_steps": 9, "val_check_interval": 0.5}, "max_steps", "10 batches", 9),
        ({"max_steps": 4, "accumulate_grad_batches": 4}, "max_steps", "20 batches", 16),
        (
            {"max_epochs": 1, "val_check_interval": 30, "check_val_every_n_epoch": None},
            "val_check_interval", "30 batches", 20,
        ),
    ],
)  # fmt: skip
def test_a_training_that_ends_before_its_first_validation(trainer: dict[str, Any], name: str, first: str, batches: int):
    message = f"the first validation comes after {first}, but the training has {batches}: `val/accuracy` has no value"
    assert said(trainer) == [(f"trainer.{name}", message)]


@pytest.mark.parametrize(
    "trainer",
    [
        {"max_epochs": 3, "check_val_every_n_epoch": 3},
        {"max_steps": 20},
        {"max_steps": 10, "val_check_interval": 0.5},
        {"max_steps": 5, "accumulate_grad_batches": 4},
        {"max_steps": 3, "val_check_interval": 3, "check_val_every_n_epoch": None},
        {"max_epochs": 1, "val_check_interval": "00:00:01:00"},
        {"max_epochs": 1, "limit_train_batches": 3},
        {"max_epochs": 0},
        {"max_steps": 3, "limit_val_batches": 0},
        {"max_epochs": 1, "check_val_every_n_epoch": 2, "fast_dev_run": True},
        {"max_time": "00:00:01:00", "max_epochs": -1},
    ],
)
def test_others(trainer: dict[str, Any]):
    assert said(trainer) == []


@pytest.mark.parametrize(("steps", "is_said"), [(19, True), (20, False)])
def test_it_is_so_in_a_run(train, steps: int, is_said: bool):
    result = train("model=mlp", f"+trainer.max_steps={steps}")
    assert ("val/accuracy" not in result.status.metrics) == is_said
    assert [one["code"] for one in result.status.warnings] == ["MW221"] * is_said


def test_a_model_that_is_to_learn_three_batches_by_heart(train):
    """Without a word of Lightning's, which are errors here."""
    result = train("model=mlp", "debug=overfit", "trainer.max_epochs=1")
    assert (result.exit_code, result.status.warnings) == (0, ())
