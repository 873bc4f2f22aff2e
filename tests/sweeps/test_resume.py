"""The command that goes on with a sweep: of a list of jobs, of a search, and of what cannot be read."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.runs.jobs import JobEntry, SweepFile, write_sweep_file
from modelforge.sweeps.freezing import check_empty
from modelforge.sweeps.resume import listed, saying_how_to_go_on, way_on
from modelforge.sweeps.workers import work_all

JOB = JobEntry(0, "hash", 0, ("seed=0",), "0")
SEARCH = "hydra/sweeper=optuna"


def sweep(folder: Path, *jobs: JobEntry) -> Path:
    folder.mkdir()
    write_sweep_file(SweepFile("0", "2026-11-27T00:00:00+00:00", jobs), folder)
    return folder


@pytest.mark.parametrize(("name", "value"), [("sweep", "sweep"), ("it's", "'it\\'s'"), ("1e3", "'1e3'")])
def test_the_way_on_is_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.chdir(tmp_path)
    folder = sweep(tmp_path / name, JOB)
    assert shlex.split(way_on(folder)) == ["python", "train.py", f"sweep.resume={value}"]
    (folder / "sweep.json").write_text("{")
    assert shlex.split(way_on(folder)) == ["python", "train.py", f"sweep.resume={value}"]


@pytest.mark.parametrize("refused", [listed, work_all, check_empty])
def test_a_search_goes_on_as_a_search(tmp_path: Path, refused):
    folder = sweep(tmp_path / "sweep")
    with pytest.raises(ForgeError) as caught:
        refused(folder)
    assert f"`python train.py sweep.resume={folder} {SEARCH}`" in caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("error", "is_said"),
    [(KeyboardInterrupt(), True), (SystemExit(143), True), (SystemExit(1), False), (SystemExit("no"), False)],
)
def test_only_what_is_interrupted_goes_on(capsys: pytest.CaptureFixture[str], error: BaseException, is_said: bool):
    with pytest.raises(type(error)), saying_how_to_go_on(lambda: "this"):
        raise error
    assert capsys.readouterr().out == ("to go on: this\n" if is_said else "")
