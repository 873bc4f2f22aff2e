"""A folder of runs as one table, whatever state its jobs are in."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.runs import collect
from tests.runs.jobs import job


def test_rows_come_best_first_and_none_is_lost(sweep: Path):
    rows = collect(sweep).rows
    assert [(row.number, row.state) for row in rows] == [
        (1, "finished"), (0, "finished"), (10, "finished"), (5, "running"), (4, "interrupted"),
        (2, "diverged"), (3, "failed"), (6, "killed"), (8, "broken"), (7, "missing"),
    ]  # fmt: skip
    assert not collect(sweep).finished


def test_only_what_differs_is_a_column(sweep: Path):
    assert collect(sweep).keys == ("init.gain",)
    assert [row.overrides.get("init.gain") for row in collect(sweep).rows[:3]] == ["2", "1", "8"]


def test_why_a_job_did_not_finish(sweep: Path):
    reasons = {row.number: row.reason for row in collect(sweep).rows if row.reason}
    assert reasons == {
        2: "training diverged at step 3: layer `rnn`",
        3: "no number; second",
        6: f"its process ({2**22 + 1}) is gone",
        7: "no status.json: the job never started, or was not ours",
        8: "status.json cannot be read",
    }


def test_a_loss_is_sorted_upwards(tmp_path: Path):
    for index, loss in enumerate((0.5, 0.25, 0.75)):
        job(tmp_path / str(index), optimized_metric="val/loss", metrics={"val/loss": loss})
    assert [row.metrics["val/loss"] for row in collect(tmp_path).rows] == [0.25, 0.5, 0.75]
    assert collect(tmp_path).finished


def test_another_metric_sorts_the_same_way(tmp_path: Path):
    """Equal and missing values leave the jobs in the order of their numbers, whatever the text of that is."""
    for index in (10, 9, 2):
        job(tmp_path / str(index), metrics={"test/loss": 0.5} if index != 2 else {})
    sweep = collect(tmp_path).by("test/loss")
    assert [row.number for row in sweep.rows] == [9, 10, 2]
    assert sweep.metric == "test/loss"
    assert sweep.metric_names == ("test/loss",)
    assert sweep.by("val/accuracy") == collect(tmp_path)


def test_overrides_are_compared_by_key(tmp_path: Path):
    job(tmp_path / "0", overrides=["+a.b=1", "~c"])
    job(tmp_path / "1", overrides=["a.b=1", "c=2"])
    sweep = collect(tmp_path)
    assert sweep.keys == ("c",)
    assert [row.overrides["c"] for row in sweep.rows] == ["(deleted)", "2"]


def test_csv(sweep: Path):
    rows = list(csv.DictReader(collect(sweep).to_csv().splitlines()))
    assert list(rows[0]) == ["state", "init.gain", "val/accuracy", "test/accuracy", "seconds", "folder", "reason"]
    assert rows[0] == {
        "state": "finished", "init.gain": "2", "val/accuracy": "0.875", "test/accuracy": "0.625",
        "seconds": "1.25", "folder": "1,gain=2", "reason": "",
    }  # fmt: skip
    assert len(rows) == 10


def test_it_is_data(sweep: Path):
    data = collect(sweep).to_dict()
    assert json.loads(json.dumps(data))["rows"][0]["metrics"] == {"val/accuracy": 0.875, "test/accuracy": 0.625}
    assert collect(sweep).counts == {
        "finished": 3, "running": 1, "interrupted": 1, "diverged": 1, "failed": 1, "killed": 1, "broken": 1,
        "missing": 1,
    }  # fmt: skip


def test_folders_of_something_else_are_no_jobs(tmp_path: Path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("defaults: []")
    (tmp_path / "conf" / "0,model").mkdir()
    (tmp_path / "conf" / "0,model" / "mlp.yaml").touch()
    for folder in (tmp_path, tmp_path / "conf"):
        with pytest.raises(ForgeError, match="holds no runs"):
            collect(folder)
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "plan.json").touch()
    assert [(row.folder, row.state) for row in collect(tmp_path).rows] == [("killed", "missing")]


def test_the_time_is_that_of_fitting(tmp_path: Path):
    job(tmp_path / "0", seconds=9.0, fit_seconds=0.5)
    assert collect(tmp_path).rows[0].seconds == 0.5


def test_a_folder_without_runs_is_a_mistake(tmp_path: Path):
    with pytest.raises(ForgeError, match="holds no runs"):
        collect(tmp_path)
    with pytest.raises(ForgeError, match="there is no folder"):
        collect(tmp_path / "nowhere")


def test_the_folder_of_one_run_is_taken(tmp_path: Path):
    job(tmp_path / "run", metrics={"val/accuracy": 0.5})
    (row,) = collect(tmp_path / "run").rows
    assert (row.folder, row.state, row.metrics["val/accuracy"]) == (".", "finished", 0.5)


def test_a_file_is_called_a_file(tmp_path: Path):
    file = tmp_path / "README.md"
    file.write_text("")
    with pytest.raises(ForgeError) as caught:
        collect(file)
    assert caught.value.problems[0].message == f"`{file}` is a file, not a folder"


def test_jobs_that_never_began_are_rows(sweep: Path):
    jobs = [
        ["model=lstm", f"init.gain={gain}"] for gain in ("1", "2", "9", "x", "3", "4", "5", "6", "7", "20", "8", "21")
    ]
    (sweep / "jobs.json").write_text(json.dumps(jobs))
    rows = {row.number: row for row in collect(sweep).rows if row.reason == "it never began"}
    assert {number: dict(row.overrides) for number, row in rows.items()} == {
        9: {"model": "lstm", "init.gain": "20"},
        11: {"model": "lstm", "init.gain": "21"},
    }


@pytest.mark.parametrize("text", ["", "{", "3", "[3]", '{"a": 1}'])
def test_a_broken_list_of_jobs_is_no_list(sweep: Path, text: str):
    (sweep / "jobs.json").write_text(text)
    assert len(collect(sweep).rows) == 10
