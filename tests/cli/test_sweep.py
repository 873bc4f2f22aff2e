"""sweep: the jobs of a multirun."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Three jobs: one diverged."""
    for number, (gain, state, accuracy, loss) in enumerate(
        [("0.5", "finished", 0.91, 0.30), ("1", "finished", 0.95, 0.40), ("99", "diverged", None, None)]
    ):
        metrics = {} if accuracy is None else {"val/accuracy": accuracy, "test/loss": loss}
        status = {
            "state": state,
            "error": [{"message": "the loss is nan"}] if state == "diverged" else [],
            "overrides": [f"init.gain={gain}"],
            "metrics": metrics,
            "seconds": 1.5,
            "optimized_metric": "val/accuracy",
            "host": "elsewhere",
            "pid": 1,
        }
        job = tmp_path / str(number)
        job.mkdir()
        (job / "status.json").write_text(json.dumps(status))
    return str(tmp_path)


def test_table(text, folder):
    shown = text("sweep", folder, status=1)
    lines = [line.split()[:3] for line in shown.splitlines()]
    assert lines[1:4] == [["1", "1", "finished"], ["0", "0.5", "finished"], ["2", "99", "diverged"]]
    assert "the loss is nan" in shown


def test_another_metric(data, folder):
    answer = data("sweep", folder, "--metric", "test/loss", status=1)
    assert [row["folder"] for row in answer["rows"]] == ["0", "1", "2"]
    assert answer["metric"] == "test/loss"


def test_csv(run, folder):
    rows = list(csv.DictReader(run("sweep", folder, "--csv", status=1).stdout.splitlines()))
    assert [row["init.gain"] for row in rows] == ["1", "0.5", "99"]
    assert rows[0]["val/accuracy"] == "0.95"


def test_an_unknown_metric(text, folder):
    shown = text("sweep", folder, "--metric", "val/acuracy", status=1)
    assert "has a metric `val/acuracy`" in shown
    assert "did you mean `val/accuracy`?" in shown


def test_a_folder_without_runs(text, tmp_path):
    assert "error[MF071]" in text("sweep", str(tmp_path / "none"), status=1)


@pytest.mark.parametrize(("state", "status"), [("finished", 0), ("running", 0), ("failed", 1), ("interrupted", 1)])
def test_the_status_says_whether_all_went_well(run, folder, state, status):
    file = Path(folder, "2", "status.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"state": state}))
    run("sweep", folder, status=status)
