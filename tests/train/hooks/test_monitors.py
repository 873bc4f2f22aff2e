"""What is only watched is logged with the steps, under names that say what it is."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from modelforge.train.hooks.monitors import MonitorDevice, MonitorRates, MonitorThroughput
from modelforge.train.rows import Rows
from modelforge.train.trackers.history import History
from tests.train.hooks.lightning import fit

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")


def rows_of(folder: Path) -> list[dict[str, float]]:
    lines = csv.DictReader((folder / "steps.csv").read_text().splitlines())
    return [{name: float(value) for name, value in line.items()} for line in lines]


def test_norms_by_layer_and_by_parameter_make_up_the_total(train, tmp_path: Path):
    settings = ("callbacks=gradient_norm", "trainer.max_epochs=1", "trainer.log_every_n_steps=5")
    for by in ("layer", "parameter"):
        train(*settings, f"callbacks.gradient_norm.by={by}", folder=by)
        for row in rows_of(tmp_path / by):
            parts = [value for name, value in row.items() if name.startswith("gradient_norm/")]
            assert row["gradient_norm"] == pytest.approx(math.hypot(*parts), rel=1e-5)
    paths = [name.partition("/")[2] for name in rows_of(tmp_path / "parameter")[0] if "norm/" in name]
    assert sorted(paths) == [
        f"{layer}.{name}" for layer in ("head", "hidden1", "hidden2") for name in ("bias", "weight")
    ]


def test_rates_of_every_group(tmp_path: Path):
    rows = Rows()
    fit(tmp_path, MonitorRates(momentum=True, weight_decay=True), logger=History(rows), max_epochs=1)
    expected = {"epoch": 0, "lr/0": 0.25, "momentum/0": 0, "weight_decay/0": 0}
    assert [rows.step_row(index) for index in range(rows.num_steps)] == [{"step": step} | expected for step in (0, 1)]


def test_the_device(tmp_path: Path):
    rows = Rows()
    fit(tmp_path, MonitorDevice(), logger=History(rows), max_epochs=1)
    row = rows.step_row(1)
    assert set(row) - {"step", "epoch"} == {
        f"device/{name}" for name in ("cpu_percent", "memory_percent", "process_bytes")
    }
    assert row["device/process_bytes"] > 10_000_000
    assert 0 < row["device/memory_percent"] <= 100


def test_rates_without_validations(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A second goes by with each look at the clock: two looks are a validation, one is a logged step."""
    now = iter(range(1000))
    monkeypatch.setattr("modelforge.train.hooks.monitors.time.perf_counter", lambda: float(next(now)))
    train("callbacks=throughput", "trainer.log_every_n_steps=10")
    rates = [(row["steps_per_second"], row["examples_per_second"]) for row in rows_of(tmp_path / "run")]
    assert rates[:2] == [(10.0, 640.0), (10.0, 617.0)]  # the last batch of an epoch has 41 examples
    assert rates[2][0] == pytest.approx(10 / 2)
    assert len(rates) == 4


def test_throughput_counts_from_the_last_row():
    callback = MonitorThroughput()
    callback._examples = 5
    callback._begin()
    assert callback._examples == 0
