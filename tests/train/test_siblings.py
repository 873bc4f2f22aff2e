"""The other jobs of a sweep, and the data that they were trained on."""

from __future__ import annotations

import json
from pathlib import Path

from modelforge.runs.environment import ENVIRONMENT
from modelforge.runs.jobs import FrozenJob, JobEntry, SweepFile, write_sweep_file
from modelforge.train.siblings import MAX_READ, on_other_data, siblings


def noted(folder: Path, name: str, **facts: str) -> Path:
    (folder / name).mkdir()
    (folder / name / ENVIRONMENT).write_text(json.dumps(facts))
    return folder / name


def test_jobs_of_other_data_are_named(tmp_path: Path):
    folders = [
        noted(tmp_path, "same", data="a", data_settings="s"),
        noted(tmp_path, "other", data="b", data_settings="s"),
        noted(tmp_path, "another", data="c", data_settings="s"),
        noted(tmp_path, "of other settings", data="b", data_settings="t"),
        noted(tmp_path, "not so far"),
        tmp_path / "missing",
    ]
    (problem,) = on_other_data(folders, "a", "s")
    assert (problem.code, problem.severity) == ("MW213", "warning")
    assert problem.message == "2 other jobs of this sweep had other data, by the same settings: `other` and `another`"
    assert not [*on_other_data(folders, "a", "u")]


def test_the_nearest_jobs_are_looked_at(tmp_path: Path):
    jobs = tuple(JobEntry(number, "", 0, (), str(number)) for number in range(1000))
    write_sweep_file(SweepFile("", "", jobs), tmp_path)
    found = [int(folder.name) for folder in siblings(tmp_path, FrozenJob(500, "", 0, (), "500", {}))]
    assert len(found) == MAX_READ
    assert found == sorted({*range(450, 551)} - {500})


def test_trials_of_a_search_have_no_siblings(tmp_path: Path):
    assert siblings(tmp_path, FrozenJob(0, "", 0, (), "0", {})) == ()
