"""What a training comes to in numbers, by its config alone."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest

from modelforge.config.compose import compose
from modelforge.train.effective import effective


def numbers(*overrides: str) -> dict[str, int]:
    return effective(compose(None, overrides).values)


def test_digits_are_known_without_reading():
    found = numbers("trainer.max_epochs=3", "data.batch_size=100")
    assert found == {
        "train_examples": 1257,
        "examples_per_step": 100,
        "steps_per_epoch": ceil(1257 / 100),
        "total_steps": 3 * ceil(1257 / 100),
    }


def test_accumulated_batches_are_one_step():
    found = numbers("trainer.max_epochs=1", "data.batch_size=100", "trainer.accumulate_grad_batches=4")
    assert (found["examples_per_step"], found["steps_per_epoch"]) == (400, 4)


@pytest.mark.parametrize(("warmup", "steps"), [("0.5", 20), ("7", 7), ("0", 0)])
def test_a_warm_up_is_counted_in_steps(warmup: str, steps: int):
    found = numbers("trainer.max_epochs=2", "scheduler=cosine", f"scheduler.warmup={warmup}")
    assert (found["total_steps"], found["warmup_steps"]) == (40, steps)


def test_a_warm_up_of_epochs_is_counted_in_steps():
    found = numbers("trainer.max_epochs=4", "scheduler=cosine", "scheduler.warmup=2", "scheduler.interval=epoch")
    assert found["warmup_steps"] == 2 * found["steps_per_epoch"]


def test_a_limit_of_steps_wins():
    assert numbers("+trainer.max_steps=5")["total_steps"] == 5


def test_the_length_of_files_is_not_known():
    assert numbers("data=text", "model=char_lstm") == {"examples_per_step": 16}


@pytest.mark.parametrize("values", [{}, {"data": 3}, {"data": {"type": "digits"}}, {"data": None, "trainer": 1}])
def test_what_is_wrong_is_left_out(values: dict[str, Any]):
    assert effective(values) == {}
