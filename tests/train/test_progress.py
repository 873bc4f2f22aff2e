"""The progress of a training: at most ten lines where there is no terminal, a bar where there is one."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from modelforge.train.progress import EpochBar, of_optimized

METRICS = {"train/loss": 0.25, "train/accuracy": 0.5, "val/loss": 0.75, "val/accuracy": 1.0}


def trainer(epoch: int, max_epochs: int | None, metrics: dict[str, float] | None = None) -> Any:
    return SimpleNamespace(
        current_epoch=epoch,
        max_epochs=max_epochs,
        callback_metrics=METRICS if metrics is None else metrics,
        estimated_stepping_batches=100,
        global_step=10,
    )


def told(bar: EpochBar, max_epochs: int | None, *, epochs: int) -> list[str]:
    for epoch in range(epochs):
        bar.on_train_epoch_end(trainer(epoch, max_epochs), None)  # pyright: ignore[reportArgumentType]  # not read
    file = bar.console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


@pytest.fixture
def bar() -> EpochBar:
    return EpochBar(Console(file=io.StringIO(), width=40, color_system=None), "accuracy")


def test_a_line_has_the_epoch_and_all_values(bar: EpochBar):
    (line,) = told(bar, 1, epochs=1)
    assert line == "epoch 1/1  loss 0.25000  accuracy 0.50000  val loss 0.75000  val accuracy 1.0000"


@pytest.mark.parametrize(("epochs", "shown"), [(3, [1, 2, 3]), (10, [*range(1, 11)]), (19, [*range(2, 19, 2), 19])])
def test_there_are_at_most_ten_lines_with_the_last_epoch_among_them(bar: EpochBar, epochs: int, shown: list[int]):
    lines = told(bar, epochs, epochs=epochs)
    assert [int(line.removeprefix("epoch ").partition("/")[0]) for line in lines] == shown


def test_without_a_limit_each_epoch_has_its_line(bar: EpochBar):
    assert [line.split("  ")[0] for line in told(bar, None, epochs=3)] == ["epoch 1", "epoch 2", "epoch 3"]


def test_another_metric_that_is_optimized_is_shown_as_well():
    bar = EpochBar(Console(file=io.StringIO(), width=99, color_system=None), "accuracy", "val/auc")
    measured = {"val/accuracy": 0.5, "val/auc": 0.25}
    bar.on_train_epoch_end(trainer(0, 1, measured), None)  # pyright: ignore[reportArgumentType]  # not read
    assert bar.console.file.getvalue() == "epoch 1/1  val accuracy 0.50000  val auc 0.25000\n"  # pyright: ignore[reportAttributeAccessIssue]  # a StringIO


@pytest.mark.parametrize(
    ("optimized", "said"),
    [("val/auc", ["test auc 0.25000"]), ("val/accuracy", []), ("val/loss", []), ("val/unknown", [])],
)
def test_the_last_line_of_a_run_has_it_too(optimized: str, said: list[str]):
    metrics = {"test/accuracy": 0.5, "test/auc": 0.25, "test/loss": 1.0}
    assert [*of_optimized(optimized, "accuracy", metrics)] == said


def test_what_was_not_measured_is_left_out(bar: EpochBar):
    bar.on_train_epoch_end(trainer(0, 1, {"train/loss": 2.0}), None)  # pyright: ignore[reportArgumentType]  # not read
    assert bar.console.file.getvalue() == "epoch 1/1  loss 2.0000\n"  # pyright: ignore[reportAttributeAccessIssue]  # a StringIO


def test_a_disabled_bar_is_silent(bar: EpochBar):
    bar.disable()
    assert told(bar, 2, epochs=2) == []
    bar.enable()
    assert len(told(bar, 2, epochs=2)) == 2


def test_on_a_terminal_there_is_one_bar_that_stays_at_the_end():
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    bar = EpochBar(console, "accuracy")
    none: Any = None
    bar.on_train_start(trainer(0, 2), none)
    bar.on_train_epoch_end(trainer(1, 2), none)
    bar.on_train_end(trainer(1, 2), none)
    shown = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]  # a StringIO
    assert "epoch 2/2" in shown
    assert "loss 0.25000  accuracy 0.50000  val 1.0000" in shown
    before = len(shown)
    bar.on_train_end(trainer(1, 2), none)
    assert len(console.file.getvalue()) == before  # pyright: ignore[reportAttributeAccessIssue]  # a StringIO
