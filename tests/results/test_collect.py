"""A folder of runs as one table, whatever state its jobs are in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.results import collect
from modelforge.runs.jobs import JOBS_FOLDER, SWEEP_FILE, FrozenJob, hash_of, write_job
from tests.runs.jobs import job


def test_rows_come_best_first_and_none_is_lost(sweep: Path):
    rows = collect(sweep).rows
    assert [(row.number, row.state) for row in rows] == [
        (1, "finished"), (0, "finished"), (10, "finished"), (5, "running"), (4, "interrupted"),
        (2, "diverged"), (3, "failed"), (6, "killed"), (8, "broken"), (7, "missing"),
    ]  # fmt: skip
    assert collect(sweep).counts.keys() != {"finished"}


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


@pytest.mark.parametrize("name", ["evaluation", "jobs", "wandb", "set-aside", "mlruns"])
def test_a_folder_of_runs_may_have_any_name(tmp_path: Path, name: str):
    """Only in the folder of a run or of a sweep it is what that one keeps."""
    job(tmp_path / "zero")
    job(tmp_path / name / "0")
    job(tmp_path / "zero" / name / "1")
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / SWEEP_FILE).write_text('{"jobs": []}')
    job(tmp_path / "sweep" / name / "2")
    assert {row.folder for row in collect(tmp_path).rows} == {"zero", f"{name}/0"}


def test_a_loss_is_sorted_upwards(tmp_path: Path):
    for index, loss in enumerate((0.5, 0.25, 0.75)):
        job(tmp_path / str(index), optimized_metric="val/loss", metrics={"val/loss": loss})
    assert [row.metrics["val/loss"] for row in collect(tmp_path).rows] == [0.25, 0.5, 0.75]
    assert collect(tmp_path).counts.keys() == {"finished"}


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


def test_states_are_counted(sweep: Path):
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
    rows = {row.number: row for row in collect(sweep).rows if row.state == "queued"}
    assert {number: dict(row.overrides) for number, row in rows.items()} == {
        9: {"model": "lstm", "init.gain": "20"},
        11: {"model": "lstm", "init.gain": "21"},
    }


@pytest.mark.parametrize("text", ["", "{", "3", "[3]", '{"a": 1}'])
def test_a_broken_list_of_jobs_is_no_list(sweep: Path, text: str):
    (sweep / "jobs.json").write_text(text)
    assert len(collect(sweep).rows) == 10


@pytest.mark.parametrize(("state", "expected"), [("running", "queued"), ("finished", "missing")])
def test_jobs_of_a_sweep_file_that_have_not_begun(tmp_path: Path, state: str, expected: str):
    """While a job runs, the others wait; then nobody works on them."""
    names = ["0,gain=1", "1,gain=1", "2,gain=3"]
    jobs = [
        {"number": number, "hash": "ab", "seed": 0, "overrides": ["gain=1" if number < 2 else "gain=3"], "folder": name}
        for number, name in enumerate(names)
    ]
    (tmp_path / "sweep.json").write_text(json.dumps({"format_version": "1.0", "jobs": jobs}))
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "0000.yaml").write_text("number: 0")
    job(tmp_path / names[0], state, ["gain=1"])
    found = {row.folder: (row.name, row.state, row.overrides["gain"]) for row in collect(tmp_path).rows}
    assert found == {
        names[0]: ("0", state, "1"), names[1]: ("1", expected, "1"), names[2]: ("2", expected, "3"),
    }  # fmt: skip


def test_a_sweep_file_alone_is_a_sweep_of_missing_jobs(tmp_path: Path):
    jobs = [{"number": 3, "hash": "ab", "seed": 0, "overrides": ["a=1"], "folder": "3,a=1"}]
    (tmp_path / "sweep.json").write_text(json.dumps({"format_version": "1.0", "jobs": jobs}))
    assert [(row.number, row.state, row.reason) for row in collect(tmp_path).rows] == [(3, "missing", "it never began")]


@pytest.mark.parametrize(
    ("key", "value"),
    [("ended", "today"), ("ended", 3), ("fit_seconds", "x"), ("fit_seconds", []), ("optimized_metric", 3),
     ("optimized_metric", []), ("metrics", {"val/accuracy": float("nan")}), ("metrics", {"val/accuracy": 10**400}),
     ("error", {"a": 1}), ("state", [])],
)  # fmt: skip
def test_a_status_with_a_wrong_value_is_broken(tmp_path: Path, key: str, value: object):
    job(tmp_path / "0", overrides=["gain=1"], metrics={"val/accuracy": 0.5})
    job(tmp_path / "1", **{"overrides": ["gain=2"], key: value})
    found = collect(tmp_path)
    assert [(row.folder, row.state) for row in found.rows] == [("0", "finished"), ("1", "broken")]


def test_a_listed_job_without_a_readable_status_keeps_its_number_and_values(tmp_path: Path):
    names = ["0,gain=1", "1,gain=2"]
    jobs = [{"number": n, "hash": "ab", "seed": 0, "overrides": [f"gain={n + 1}"], "folder": names[n]} for n in (0, 1)]
    (tmp_path / "sweep.json").write_text(json.dumps({"format_version": "1.0", "jobs": jobs}))
    job(tmp_path / names[0])
    (tmp_path / names[0] / "status.json").write_text("{")
    (tmp_path / names[1] / "checkpoints").mkdir(parents=True)
    found = [(row.name, row.number, row.state, row.overrides) for row in collect(tmp_path).rows]
    assert found == [("0", 0, "broken", {"gain": "1"}), ("1", 1, "missing", {"gain": "2"})]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"jobs": 3}', '{"jobs": [{"number": "x"}]}', '{"jobs": [3]}'])
def test_a_broken_sweep_file_hides_no_job(sweep: Path, text: str):
    (sweep / "sweep.json").write_text(text)
    assert len(collect(sweep).rows) == 10


def test_runs_outside_a_multirun_are_called_by_their_folders(tmp_path: Path):
    for name in ("mlp-xavier/2026-01-31_12-00-00_1", "mlp-xavier/2026-01-31_13-00-00_2"):
        job(tmp_path / name, overrides=["init=xavier"])
    assert sorted(row.name for row in collect(tmp_path).rows) == [
        "mlp-xavier/2026-01-31_12-00-00_1",
        "mlp-xavier/2026-01-31_13-00-00_2",
    ]
    assert {row.listed_number for row in collect(tmp_path).rows} == {None}


def test_several_folders_are_one_table(tmp_path: Path):
    job(tmp_path / "a" / "0,gain=1", overrides=["gain=1"], metrics={"val/accuracy": 0.5})
    job(tmp_path / "b" / "0,gain=2", overrides=["gain=2"], metrics={"val/accuracy": 0.75})
    job(tmp_path / "c", overrides=["gain=3"], metrics={"val/accuracy": 0.25})
    found = collect(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert [(row.name, row.folder) for row in found.rows] == [("b/0", "b/0,gain=2"), ("a/0", "a/0,gain=1"), ("c", "c")]
    assert found.keys == ("gain",)
    with pytest.raises(ForgeError) as caught:
        collect(tmp_path / "a", tmp_path / "x", tmp_path / "y")
    assert len(caught.value.problems) == 2


def test_runs_that_optimize_different_metrics_are_sorted_within_each(tmp_path: Path):
    for index, (metric, value) in enumerate([("val/loss", 0.5), ("val/accuracy", 0.5), ("val/loss", 0.25)]):
        job(tmp_path / str(index), overrides=[f"a={index}"], optimized_metric=metric, metrics={metric: value})
    found = collect(tmp_path)
    assert found.is_mixed
    assert [row.number for row in found.rows] == [1, 2, 0]
    assert [found.result(row) for row in found.rows] == [0.5, 0.25, 0.5]


def test_jobs_that_never_began_are_listed_where_the_list_is_damaged(tmp_path: Path):
    job(tmp_path / "0,seed=1", overrides=["seed=1"])
    (tmp_path / JOBS_FOLDER).mkdir()
    for number, seed in enumerate((1, 2, 3)):
        config = {"seed": seed}
        frozen = FrozenJob(number, hash_of(config), seed, (f"seed={seed}",), f"{number},seed={seed}", config)
        write_job(frozen, tmp_path)
    (tmp_path / SWEEP_FILE).write_text('{"jobs": [')
    (tmp_path / JOBS_FOLDER / "0002.yaml").write_text("a: [")
    assert [(row.number, row.state, dict(row.overrides)) for row in collect(tmp_path).rows] == [
        (0, "finished", {"seed": "1"}),
        (1, "missing", {"seed": "2"}),
    ]
