"""Metrics as one line an epoch in a file, and as events."""

from __future__ import annotations

import csv
from pathlib import Path

from modelforge.train.loggers import MetricsCSV, TensorBoard, make_loggers
from modelforge.train.settings import LoggerSettings


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_metrics_of_one_step_meet_in_one_line(tmp_path: Path):
    logger = MetricsCSV(tmp_path / "metrics.csv")
    logger.log_metrics({"val/loss": 0.5, "epoch": 0.0}, 10)
    logger.log_metrics({"train/loss": 1 / 3, "epoch": 0.0}, 10)
    logger.log_metrics({"test/loss": 2.0}, 20)
    logger.save()
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "epoch,step,train/loss,val/loss,test/loss",
        "0,10,0.3333333,0.5,",
        ",20,,,2.0",
    ]


def test_lines_are_in_the_order_of_their_steps(tmp_path: Path):
    logger = MetricsCSV(tmp_path / "metrics.csv")
    for step in (20, 10, 30):
        logger.log_metrics({"a": step}, step)
    logger.finalize("success")
    assert [row["step"] for row in lines(logger.path)] == ["10", "20", "30"]


def test_a_resumed_run_goes_on_from_the_exact_values(tmp_path: Path):
    first = MetricsCSV(tmp_path / "metrics.csv")
    first.log_metrics({"a": 1 / 3}, 10)
    first.log_metrics({"b": 1.0})
    second = MetricsCSV(tmp_path / "metrics.csv")
    second.restore(first.rows.values())
    assert second.rows == first.rows
    assert second.rows is not first.rows
    second.log_metrics({"b": 2.0}, 10)
    assert second.rows[10] == {"step": 10, "a": 1 / 3, "b": 2.0}
    assert "b" not in first.rows[10]


def test_nothing_is_written_where_there_is_nothing_to_write(tmp_path: Path):
    MetricsCSV(tmp_path / "empty.csv").save()
    kept = MetricsCSV(tmp_path / "kept.csv", is_written=False)
    kept.log_metrics({"a": 1.0}, 1)
    kept.save()
    assert list(tmp_path.iterdir()) == []
    assert kept.rows


def test_loggers_are_those_that_the_config_asks_for(tmp_path: Path):
    history, others = make_loggers(LoggerSettings(csv=True, tensorboard=False), tmp_path)
    assert (history.path, history.is_written, others) == (tmp_path / "metrics.csv", True, [])
    history, (events,) = make_loggers(LoggerSettings(csv=False, tensorboard=True), tmp_path)
    assert not history.is_written
    assert isinstance(events, TensorBoard)
    events.log_metrics({"a": 1.0}, 1)
    events.finalize("success")
    assert [path.name.split(".")[0] for path in tmp_path.iterdir()] == ["events"]
