"""Metrics of one step meet in one row, and a checkpoint gives back exactly what was measured."""

from __future__ import annotations

import torch

from modelforge.train.rows import Rows


def test_metrics_of_one_step_meet_in_one_row():
    rows = Rows()
    rows.add({"val/loss": 0.5, "epoch": 0.0}, 10)
    rows.add({"train/loss": 1 / 3, "epoch": 0.0}, 10)
    rows.add({"test/loss": 2.0}, 20)
    assert rows.epochs == {
        10: {"step": 10, "val/loss": 0.5, "epoch": 0.0, "train/loss": 1 / 3},
        20: {"step": 20, "test/loss": 2.0},
    }
    assert rows.num_steps == 0


def test_what_is_measured_per_step_has_rows_of_its_own():
    rows = Rows()
    rows.add({"step/loss": 2.0, "epoch": 0}, 4)
    rows.add({"step/lr": 0.1, "epoch": 0}, 4)
    rows.add({"step/loss": 1.0, "step/new": 7, "epoch": 1}, 9)
    assert rows.epochs == {}
    assert [rows.step_row(index) for index in range(rows.num_steps)] == [
        {"step": 4, "epoch": 0, "loss": 2.0, "lr": 0.1},
        {"step": 9, "epoch": 1, "loss": 1.0, "new": 7},
    ]


def test_a_checkpoint_gives_back_the_exact_values():
    rows, other = Rows(), Rows()
    for step in range(3):
        rows.add({"step/loss": 1 / (step + 3), "epoch": 0}, step)
    rows.add({"a": 1 / 3}, 2)
    rows.add({"b": 1.0}, None)
    state = rows.state()
    other.restore(state["history"], state["steps"])
    assert (other.epochs, other.steps) == (rows.epochs, rows.steps)
    other.add({"b": 2.0}, 2)
    other.add({"step/loss": 5.0}, 3)
    assert "b" not in rows.epochs[2]
    assert rows.num_steps == 3


def test_rows_of_epochs_alone_leave_those_of_steps():
    rows = Rows()
    rows.add({"step/loss": 1.0}, 0)
    rows.restore([{"step": 5, "a": 1.0}])
    assert rows.num_steps == 1
    assert rows.epochs == {5: {"step": 5, "a": 1.0}}


def test_a_replay_is_what_was_added_in_the_order_of_the_steps():
    rows = Rows()
    added = [({"step/loss": 1.0, "epoch": 0.0}, 1), ({"val/loss": 2.0, "epoch": 0.0}, 2), ({"c": 3.0}, None)]
    for metrics, step in added:
        rows.add(metrics, step)
    assert list(rows.replayed()) == [added[2], added[0], added[1]]


def test_a_checkpoint_holds_columns_and_no_row_of_its_own_for_each_step():
    rows = Rows()
    for step in range(1000):
        rows.add({"step/loss": 1.0, "epoch": 0}, step)
    steps = rows.state()["steps"]
    assert {name: (column.dtype, len(column)) for name, column in steps.items()} == dict.fromkeys(
        ("step", "epoch", "loss"), (torch.float64, 1000)
    )
