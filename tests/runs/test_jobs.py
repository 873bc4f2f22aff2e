"""sweep.json and jobs/0007.yaml: written whole, read back equal, and a coded error for what is damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.runs.jobs import (
    JOBS_FOLDER,
    SWEEP_FILE,
    FrozenJob,
    LeftOut,
    SweepFile,
    hash_of,
    read_job,
    read_sweep_file,
    write_job,
    write_sweep_file,
)

CONFIG = {
    "seed": 7,
    "lr": 1e-5,
    "exact": 0.1 + 0.2,
    "none": None,
    "on": True,
    "text": "no",
    "day": "2020-01-01",
    "template": "${arg:width}",
    "letters": "é ✓ \u2028 \x1f 'quoted'\nnext",
    "list": [1, [2.0, "3"], {}],
    "number": 2**80,
    "2": "a key of digits",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / JOBS_FOLDER).mkdir()
    jobs = [
        FrozenJob(number, hash_of(CONFIG | {"seed": seed}), seed, (f"seed={seed}",), f"{number},seed={seed}",
                  CONFIG | {"seed": seed})
        for number, seed in enumerate((7, 8))
    ]  # fmt: skip
    for job in jobs:
        write_job(job, tmp_path)
    left_out = LeftOut(("seed=x",), ({"code": "MF014", "message": "no whole number"},))
    sweep = SweepFile(
        "0.1", "2026-11-27T10:00:00+00:00", tuple(job.entry for job in jobs), ("seed=7,8,x",), {"seed": ("7", "8")},
        (("init", "init.gain"),), ("seed < 9",), (left_out,), "2.13.0", "here",
    )  # fmt: skip
    write_sweep_file(sweep, tmp_path)
    return tmp_path


def test_what_is_written_is_read_back(folder: Path):
    sweep = read_sweep_file(folder)
    assert [job.overrides for job in sweep.jobs] == [("seed=7",), ("seed=8",)]
    assert sweep.left_out[0].problems[0]["code"] == "MF014"
    assert sweep.axes == {"seed": ("7", "8")}
    assert json.loads((folder / SWEEP_FILE).read_text())["format_version"] == "1.0"
    job = read_job(folder, 1)
    assert job.config == CONFIG | {"seed": 8}
    assert type(job.config["lr"]) is float
    assert job.entry == sweep.job(1) == sweep.jobs[1]
    assert sweep.job(2) is None


def test_a_hash_is_of_what_a_job_computes():
    assert hash_of(CONFIG) == hash_of({"tags": ["x"], "sweep": {"where": "a"}, **dict(reversed(CONFIG.items()))})
    assert len({hash_of(CONFIG | {"on": value}) for value in (True, 1, 1.0, "1", None, [])}) == 6
    layers = {"act": {"type": "ReLU"}, "norm": {"type": "LayerNorm"}}
    swapped = dict(reversed(layers.items()))
    assert hash_of({"model": {"layers": layers}}) != hash_of({"model": {"layers": swapped}})
    assert hash_of({"keys": {1: "a", "b": "c"}}) == hash_of({"keys": {1: "a", "b": "c"}})


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (SWEEP_FILE, "", "is damaged"),
        (SWEEP_FILE, "[1]", "it has no `format_version`"),
        (SWEEP_FILE, '{"format_version": "2.0"}', "has the format 2.0"),
        (SWEEP_FILE, '{"format_version": "1.7"}', "`modelforge`: field required"),
        ("jobs/0001.yaml", "number: [", "line 2"),
        ("jobs/0001.yaml", "a: 1", "it has no `format_version`"),
        ("jobs/0001.yaml", "format_version: '3.0'", "has the format 3.0"),
        ("jobs/0001.yaml", "format_version: '1.0'\nnumber: x", "`number`"),
        ("jobs/0001.yaml", "!!python/object/apply:os.system [ls]", "is damaged"),
        ("jobs/0001.yaml", None, "the file is gone"),
    ],
)
def test_a_damaged_file_is_a_problem(folder: Path, file: str, text: str | None, message: str):
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(ForgeError, match=message) as caught:
        read_sweep_file(folder) if file == SWEEP_FILE else read_job(folder, 1)
    assert caught.value.problems[0].code == "MF076"
    assert read_job(folder, 0).number == 0


def test_an_edited_job_is_refused(folder: Path):
    file = folder / "jobs/0001.yaml"
    file.write_text(file.read_text().replace("seed: 8", "seed: 9"))
    with pytest.raises(ForgeError, match="was changed after the sweep began"):
        read_job(folder, 1)


def test_a_job_or_a_sweep_that_is_not_there(folder: Path, tmp_path: Path):
    with pytest.raises(ForgeError, match="has no job 2"):
        read_job(folder, 2)
    with pytest.raises(ForgeError, match="does not exist"):
        read_sweep_file(folder / "nowhere")
    with pytest.raises(ForgeError, match="holds no sweep"):
        read_sweep_file(folder / JOBS_FOLDER)


def test_a_folder_that_cannot_be_written(folder: Path):
    job = read_job(folder, 0)
    with pytest.raises(ForgeError, match="cannot be written"):
        write_job(replace(job, number=5), folder / "nowhere")
