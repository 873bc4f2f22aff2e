"""Results that stay while other jobs of their sweep run: only beside those of the same data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from modelforge.config.compose import compose
from modelforge.config.folder import default_conf
from modelforge.core.errors import ForgeError
from modelforge.runs import environment
from modelforge.runs.jobs import FrozenJob, JobEntry, hash_of, make_jobs_folder, write_job
from modelforge.runs.status import read as read_status
from modelforge.sweeps import kept
from modelforge.sweeps.kept import check_kept, with_result
from modelforge.sweeps.tune_gain import TuningSettings, tune_gain
from modelforge.sweeps.workers import work_all, work_one
from modelforge.train.data.digest import digest, settings_hash
from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source
from tests.runs.jobs import job as run_of
from tests.sweeps.projects import BRIEF

Command = Callable[..., int]


def table(path: Path, power: int = 1) -> Path:
    rows = "".join(f"{i**power},{i % 7},{'ab'[i % 2]}\n" for i in range(40))
    path.write_text(f"x,y,target\n{rows}")
    return path


def csv(path: Path) -> tuple[str, ...]:
    return ("data=csv", f"data.path={path}", "data.target=target", "data.num_features=2", "data.num_outputs=2")


def done(folder: Path, number: int, overrides: Sequence[str], state: str = "finished", **origin: object) -> JobEntry:
    """A frozen job with a run that says that it has ended."""
    values = compose(None, ["model=mlp", *overrides]).values
    job = FrozenJob(number, hash_of(values), 0, tuple(overrides), str(number), values)
    folder.mkdir(exist_ok=True)
    make_jobs_folder(folder)
    write_job(job, folder)
    run_of(folder / job.folder, state, overrides, job={"number": number, "hash": job.hash})
    of_data = {"data": digest(read(parse_source(values["data"]))), "data_settings": settings_hash(values["data"])}
    (folder / job.folder / environment.ENVIRONMENT).write_text(json.dumps(of_data | origin))
    return job.entry


def test_results_of_the_same_data_stay_and_it_is_said_which(tmp_path: Path):
    data = csv(table(tmp_path / "a.csv"))
    jobs = [done(tmp_path / "sweep", 0, data), done(tmp_path / "sweep", 1, [*data, "data.batch_size=8"], "diverged")]
    jobs += [done(tmp_path / "sweep", 2, data, "failed")]
    said: list[str] = []
    check_kept(tmp_path / "sweep", with_result(tmp_path / "sweep", jobs), said.append)
    assert said == ["the data is what jobs 0 and 1 trained on"]


def test_one_reading_compares_all_jobs_with_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = csv(table(tmp_path / "a.csv"))
    jobs = [done(tmp_path / "sweep", number, [*data, f"data.batch_size={number + 1}"]) for number in range(3)]
    readings: list[object] = []
    monkeypatch.setattr(kept, "read", lambda source: readings.append(source) or read(source))
    check_kept(tmp_path / "sweep", jobs, str)
    assert len(readings) == 1


def test_other_data_is_refused(tmp_path: Path):
    path = table(tmp_path / "a.csv")
    jobs = [done(tmp_path / "sweep", number, [*csv(path), f"init.gain={number + 1}"]) for number in range(2)]
    jobs += [done(tmp_path / "sweep", 2, csv(table(tmp_path / "b.csv")))]
    table(path, power=2)
    with pytest.raises(ForgeError) as caught:
        check_kept(tmp_path / "sweep", jobs, str)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF077", "data.path")
    assert "no longer what jobs 0 and 1 trained on" in problem.message
    check_kept(tmp_path / "sweep", jobs[2:], str)
    with pytest.raises(ForgeError, match="no longer what job 0 trained on"):
        work_one(tmp_path / "sweep", 0)


def test_data_that_is_never_twice_the_same_cannot_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    job = done(tmp_path / "sweep", 0, csv(table(tmp_path / "a.csv")))
    texts = iter("abc")
    monkeypatch.setattr(kept, "digest", lambda _: next(texts))
    said: list[str] = []
    check_kept(tmp_path / "sweep", [job], said.append)
    assert said == []


def test_results_of_earlier_versions_are_not_compared(tmp_path: Path):
    path = table(tmp_path / "a.csv")
    job = done(tmp_path / "sweep", 0, csv(path))
    (tmp_path / "sweep" / "0" / environment.ENVIRONMENT).write_text("{}")
    path.unlink()
    said: list[str] = []
    check_kept(tmp_path / "sweep", [job], said.append)
    assert said == []


def test_other_code_of_the_project_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    data = csv(table(tmp_path / "a.csv"))
    jobs = [done(tmp_path / "sweep", number, data, code=code) for number, code in enumerate(("old", "new", None))]
    monkeypatch.setattr(kept, "code_digest", lambda: "new")
    check_kept(tmp_path / "sweep", jobs, str)
    err = capsys.readouterr().err
    assert "warning[MW213]: the project's own modules are no longer what jobs 0 and 2 ran with" in err
    check_kept(tmp_path / "sweep", jobs[1:2], str)
    assert capsys.readouterr().err == ""


@pytest.fixture
def swept(tmp_path: Path, command: Command) -> Path:
    """A sweep of two jobs, of which one has a result; the data is another one since."""
    path, root = table(tmp_path / "a.csv"), tmp_path / "sweep"
    assert command("-m", *BRIEF, *csv(path), "init.gain=1,2", f"hydra.sweep.dir={root}") == 0
    shutil.rmtree(next(root.glob("1,*")))
    table(path, power=2)
    return root


def test_a_sweep_does_not_go_on_with_other_data(swept: Path, tmp_path: Path, command: Command, capfd):
    assert command(f"sweep.resume={swept}") == 1
    assert "error[MF077]: the data is no longer what job 0 trained on" in capfd.readouterr().err
    assert not [*swept.glob("1,*")], "no job began"
    table(tmp_path / "a.csv")
    assert command(f"sweep.resume={swept}") == 0
    assert "the data is what job 0 trained on" in capfd.readouterr().out


def test_a_sweep_with_nothing_to_do_reads_no_data(swept: Path, tmp_path: Path, command: Command, monkeypatch):
    """Every task of a cluster's array asks what is left."""
    table(tmp_path / "a.csv")
    assert command(f"sweep.resume={swept}") == 0
    table(tmp_path / "a.csv", power=2)
    readings: list[object] = []
    monkeypatch.setattr(kept, "read", lambda source: readings.append(source) or read(source))
    assert work_all(swept) == 0
    assert command(f"sweep.resume={swept}") == 0
    assert readings == []
    shutil.rmtree(next(swept.glob("1,*")))
    with pytest.raises(ForgeError, match="no longer what job 0 trained on"):
        work_all(swept)


def test_a_search_for_a_gain_does_not_go_on_with_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = table(tmp_path / "a.csv")
    tiny = ("model=mlp", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "logger=none", *csv(path))
    monkeypatch.setattr("modelforge.sweeps.tune_gain.critical_gain", lambda planned, base: None)
    settings = TuningSettings(default_conf(), tiny, budget=1)
    lines: list[str] = []
    first = tune_gain(settings, tmp_path / "search", say=lines.append)
    assert tune_gain(settings, tmp_path / "search", say=lines.append).to_dict() == first.to_dict()
    assert "the data is what job 0 trained on" in lines
    table(path, power=2)
    with pytest.raises(ForgeError, match="no longer what job 0 trained on"):
        tune_gain(settings, tmp_path / "search", say=lines.append)


def test_one_job_beside_others_on_other_data_says_so_at_its_start(swept: Path, tmp_path: Path, capfd):
    """The table alone said it, when all was over."""
    assert work_one(swept, 1) == 0
    said = capfd.readouterr().out
    assert "warning[MW213]: 1 other job of this sweep had other data, by the same settings: `0," in said
    assert said.index("MW213") < said.index("test accuracy")
    assert [one["code"] for one in read_status(next(swept.glob("1,*")))["warnings"]].count("MW213") == 1
    shutil.rmtree(next(swept.glob("1,*")))
    table(tmp_path / "a.csv")
    assert work_one(swept, 1) == 0
    assert "MW213" not in capfd.readouterr().out
