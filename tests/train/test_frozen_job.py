"""`work`: a frozen job runs once, goes on from a checkpoint, and begins again without one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from modelforge.config.compose import compose
from modelforge.core.errors import ForgeError
from modelforge.results import collect
from modelforge.runs.jobs import FrozenJob, SweepFile, hash_of, write_job, write_sweep_file
from modelforge.runs.liveness import claimed
from modelforge.train.frozen_job import work
from tests.train.runs import assert_equal, last

OVERRIDES = ("model=mlp", "trainer.max_epochs=2", "+trainer.limit_train_batches=2", "logger=csv")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two jobs with the same config in two folders, of which none has begun."""
    values = compose(None, OVERRIDES).values
    (tmp_path / "jobs").mkdir()
    jobs = [FrozenJob(number, hash_of(values), 0, OVERRIDES, str(number), values) for number in (0, 1)]
    for job in jobs:
        write_job(job, tmp_path)
    write_sweep_file(SweepFile("0", "", tuple(job.entry for job in jobs)), tmp_path)
    return tmp_path


def set_status(run: Path, **fields) -> None:
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps({**status, **fields}))


def test_a_job_runs_once_and_goes_on(sweep: Path, capsys: pytest.CaptureFixture[str]):
    first = work(sweep, 0)
    assert (first.exit_code, first.status.state, first.status.attempt) == (0, "finished", 1)
    when = (sweep / "0/status.json").stat().st_mtime_ns
    assert work(sweep, 0) == first
    assert (sweep / "0/status.json").stat().st_mtime_ns == when
    # As a job that was killed before its end stands there.
    work(sweep, 1)
    (sweep / "1/.status.json.modelforge-0123abcd").write_text("{")
    set_status(sweep / "1", state="interrupted")
    again = work(sweep, 1)
    assert (again.exit_code, again.status.attempt) == (0, 2)
    assert again.status.config_hash == first.status.config_hash
    assert not (sweep / "1/.status.json.modelforge-0123abcd").exists()
    assert f"ckpt: {last(sweep / '1')}" in (sweep / "1/config.yaml").read_text()
    assert_equal(sweep / "0", sweep / "1")
    # A damaged checkpoint, and a damaged status: from the beginning.
    last(sweep / "1").write_bytes(b"PK")
    (sweep / "1/status.json").write_text('{"state": "ru')
    assert work(sweep, 1).exit_code == 0
    assert "is left out: the job begins again" in capsys.readouterr().out
    assert_equal(sweep / "0", sweep / "1")


def test_what_a_worker_refuses(sweep: Path):
    with pytest.raises(ForgeError, match="has no job 2"):
        work(sweep, 2)
    with claimed(sweep / "1"), pytest.raises(ForgeError, match="another process works on job 1"):
        work(sweep, 1)
    (sweep / "1").mkdir(exist_ok=True)
    (sweep / "1/status.json").write_text(json.dumps({"state": "finished", "job": {"hash": "other"}}))
    with pytest.raises(ForgeError, match="holds a run that is not of this job"):
        work(sweep, 1)
    values = {"model": {}}
    write_job(replace(FrozenJob(0, hash_of(values), 0, (), "../0", values)), sweep)
    with pytest.raises(ForgeError, match="outside of the sweep"):
        work(sweep, 0)


def test_a_job_that_cannot_be_run_fails(sweep: Path, capsys: pytest.CaptureFixture[str]):
    values = {**compose(None, OVERRIDES).values, "optimizer": {"type": "None"}}
    write_job(FrozenJob(0, hash_of(values), 0, (), "0", values), sweep)
    result = work(sweep, 0)
    assert (result.exit_code, result.status.state) == (1, "failed")
    assert "Traceback" not in capsys.readouterr().err


def test_what_a_damaged_status_leaves_is_put_aside(sweep: Path, capsys: pytest.CaptureFixture[str]):
    """It may be a finished run."""
    run = sweep / "0"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints/best.ckpt").write_bytes(b"1")
    (run / "status.json").write_text('{"state": "fini')
    for number in (1, 2):
        assert work(sweep, 0).status.state == "finished"
        assert (run / f"set-aside/{number}/status.json").exists()
        (run / "status.json").write_text("")
        (run / "checkpoints/last.ckpt").unlink()
    assert (run / "set-aside/1/checkpoints/best.ckpt").read_bytes() == b"1"
    assert f"{run} has no readable status.json: what was there is now in {run}/set-aside/1" in capsys.readouterr().out
    assert [row.folder for row in collect(sweep).rows] == ["0", "1"]
