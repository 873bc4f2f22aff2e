"""sweep: the jobs of a multirun."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelforge.cli.app import app
from tests.results.sweeps import gains


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
    shown = text("sweep", folder)
    lines = [line.split()[:3] for line in shown.splitlines()]
    assert lines[1:4] == [["1", "1", "finished"], ["0", "0.5", "finished"], ["2", "99", "diverged"]]
    assert "the loss is nan" in shown


def test_what_was_not_run_has_a_way_on(text, tmp_path):
    folder = gains(tmp_path)
    assert "to go on" not in text("sweep", str(folder))
    path = next(folder.glob("*/status.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "failed"}))
    (folder / "sweep.json").write_text("{}")
    assert text("sweep", str(folder), status=1).endswith(f"\nto go on: python train.py sweep.resume={folder}")


def test_another_metric(data, folder):
    answer = data("sweep", folder, "--metric", "test/loss")
    assert [row["folder"] for row in answer["rows"]] == ["0", "1", "2"]
    assert answer["metric"] == "test/loss"


@pytest.mark.parametrize("option", [("--group", "seed"), ("--baseline", "init.gain=1")])
def test_a_row_a_job_has_no_groups(text, folder, tmp_path, option):
    for form in (("--csv",), ("--output", str(tmp_path / "x.parquet"))):
        assert f"`{option[0]}` compares groups" in text("sweep", folder, *form, *option, status=1)
    assert not (tmp_path / "x.parquet").exists()


def test_a_page_does_not_list_all_jobs(text, folder, tmp_path):
    shown = text("sweep", folder, "--all", "--output", str(tmp_path / "x.html"), status=1)
    assert "a page has 300 at most" in shown
    assert not (tmp_path / "x.html").exists()


def test_csv(run, folder):
    rows = list(csv.DictReader(run("sweep", folder, "--csv").stdout.splitlines()))
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


def test_groups_and_a_baseline(text, data, tmp_path):
    folder = str(gains(tmp_path))
    shown = text("sweep", folder, "--group", "seed")
    assert "0.91200  0.01" in shown
    assert "job " not in shown, "groups take the place of jobs"
    answer = data("sweep", folder, "--baseline", "init=orthogonal")
    assert answer["groups"][0]["baseline"] == {"init": "orthogonal", "init.gain": "1"}
    assert "no job has `init=torch`" in text("sweep", folder, "--baseline", "init=torch", status=1)
    assert "did you mean `seed`?" in text("sweep", folder, "--group", "sed", status=1)


@pytest.mark.parametrize(
    ("name", "begin"), [("x.html", b"<!doctype html>"), ("x.csv", b"state,"), ("x.json", b"{"), ("x.parquet", b"PAR1")]
)
def test_a_file_in_the_form_of_its_name(text, folder, tmp_path, name, begin):
    path = tmp_path / name
    assert f"wrote {path} with 3 jobs" in text("sweep", folder, "--output", str(path))
    assert path.read_bytes().startswith(begin)


def test_a_form_that_is_not_for_a_terminal(text, folder):
    assert "`--format html` is not for a terminal" in text("sweep", folder, "--format", "html", status=1)


def test_the_schema_and_no_folder(run, data):
    assert data("sweep", "--schema")["title"] == "SweepDocument"
    assert "name a folder" in run("sweep", status=2).stderr


def test_watching_what_has_ended_prints_the_table(text, folder):
    shown = text("sweep", "--watch", folder)
    assert "3 of 3 jobs" in shown
    assert "the loss is nan" in shown


def test_in_ascii_at_80_columns(here, tmp_path):
    result = CliRunner(charset="ascii").invoke(app, ["sweep", str(gains(tmp_path)), "--group", "seed"])
    assert result.exit_code == 0
    assert result.output.isascii()
    assert "~ -0.002" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_a_file_without_an_ending_is_text(text, folder: str, tmp_path: Path):
    text("sweep", folder, "--output", str(tmp_path / "results"))
    assert "the loss is nan" in (tmp_path / "results").read_text()


def test_a_search_of_which_no_job_has_begun(tmp_path: Path):
    (tmp_path / "sweep.json").write_text('{"format_version": "1.0", "jobs": []}')
    result = CliRunner().invoke(app, ["sweep", str(tmp_path)], env={"COLUMNS": "500"})
    assert (result.exit_code, result.stdout) == (1, f"no job has begun in {tmp_path}\n")


def test_a_damaged_list_of_jobs_is_named(text, data, folder: str):
    (Path(folder) / "sweep.json").write_text('{"jobs": [')
    assert "sweep.json cannot be read" in " ".join(text("sweep", folder).split())
    assert len(data("sweep", folder)["damaged"]) == 1
