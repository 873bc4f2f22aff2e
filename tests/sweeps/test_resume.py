"""The command that goes on with a sweep: of a list of jobs, of a search, and of what cannot be read."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.runs.jobs import JobEntry, SweepFile, write_sweep_file
from modelforge.sweeps.freezing import check_empty
from modelforge.sweeps.resume import check_search_resuming, listed, saying_how_to_go_on, way_on
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


BEGAN = (SEARCH, "model=lstm,gru", "trainer.max_epochs=1", "hydra.sweeper.n_trials=2", "hydra.sweeper.params.seed=1,2")


@pytest.mark.parametrize(
    "words",
    [
        BEGAN,
        ("sweep.resume=s", SEARCH, "hydra.sweeper.n_trials=9", "hydra.sweeper.timeout=60", "hydra.sweeper.n_jobs=2"),
        ("hydra.sweep.dir=s", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.verbose=true"),
        ("trainer.max_epochs=3", "trainer.max_epochs=1"),
    ],
)
def test_a_search_may_have_more_trials_that_run_elsewhere(words: tuple[str, ...]):
    check_search_resuming(BEGAN, words)
    check_search_resuming([BEGAN[0], "trainer.max_epochs=3", *BEGAN[1:]], [*BEGAN, *words])


@pytest.mark.parametrize(
    "word",
    [
        "trainer.max_epochs=3",
        "+trainer.max_epochs=1",
        "~trainer.max_epochs",
        "seed=1",
        "model=lstm",
        "hydra.sweeper.direction=minimize",
        "hydra.sweeper.sampler.name=random",
        "hydra.sweeper.params.seed=3,4",
    ],
)
def test_a_search_keeps_what_decides_its_trials(word: str):
    """A study of trials that differ in what it does not know of would call one of them best all the same."""
    with pytest.raises(ForgeError) as caught:
        check_search_resuming(BEGAN, (*BEGAN, word, "hydra.sweeper.n_trials=4"))
    (problem,) = caught.value.problems
    assert (problem.code, problem.place and problem.place.override) == ("MF077", word)
    began = next((one for one in BEGAN if one.partition("=")[0] == problem.key), None)
    assert (f"it began with `{began}`" if began else "it began with none") in problem.message


@pytest.mark.parametrize(
    ("error", "is_said"),
    [(KeyboardInterrupt(), True), (SystemExit(143), True), (SystemExit(1), False), (SystemExit("no"), False)],
)
def test_only_what_is_interrupted_goes_on(capsys: pytest.CaptureFixture[str], error: BaseException, is_said: bool):
    with pytest.raises(type(error)), saying_how_to_go_on(lambda: "this"):
        raise error
    assert capsys.readouterr().out == ("to go on: this\n" if is_said else "")
