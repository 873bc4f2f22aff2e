"""`train.py -m` with our sweeper: frozen jobs, resumed sweeps, and what is refused before any job."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import modelforge.train.fit
from modelforge.results.collect import collect
from modelforge.runs.jobs import hash_of, read_job, read_sweep_file
from modelforge.runs.liveness import LOCK, claimed
from modelforge.runs.status import read_state
from modelforge.sweeps.workers import work_all
from modelforge.train.frozen_job import work
from tests.sweeps.projects import BRIEF

Command = Callable[..., int]


def states(root: Path) -> list[str | None]:
    return [read_state(root / job.folder) for job in read_sweep_file(root).jobs]


def attempts(root: Path) -> list[int]:
    return [
        json.loads((root / job.folder / "status.json").read_text())["attempt"] for job in read_sweep_file(root).jobs
    ]


@pytest.fixture
def swept(command: Command, tmp_path: Path) -> Path:
    """A sweep of three jobs, of which one diverges and one did not begin."""
    root = tmp_path / "sweep"
    assert command("-m", *BRIEF, "optimizer.lr=0.01,1e30,0.02", "tags=[a]", f"hydra.sweep.dir={root}") == 0
    shutil.rmtree(root / read_sweep_file(root).jobs[2].folder)
    return root


def test_jobs_are_frozen_run_and_resumed(swept: Path, command: Command, capfd):
    sweep = read_sweep_file(swept)
    assert sweep.axes == {"optimizer.lr": ("0.01", "1e+30", "0.02")}
    assert states(swept) == ["finished", "diverged", None]
    job = read_job(swept, 2)
    assert job.config["optimizer"]["lr"] == 0.02
    assert job.hash == hash_of(job.config)
    status = json.loads((swept / sweep.jobs[0].folder / "status.json").read_text())
    assert status["job"] == {"number": 0, "hash": sweep.jobs[0].hash}
    capfd.readouterr()
    assert command(f"sweep.resume={swept}") == 0
    assert "3 jobs: 2 with a result, 1 to do" in capfd.readouterr().out
    assert states(swept) == ["finished", "diverged", "finished"]
    assert command(f"sweep.resume={swept}", "seed=1") == 1
    assert "error[MF077]: `seed` cannot be set for a sweep that goes on" in capfd.readouterr().err


def test_a_worker_runs_what_has_no_result(swept: Path, capfd):
    first, _, last = read_sweep_file(swept).jobs
    assert work(swept, 0).exit_code == work(swept, 1).exit_code == 0
    assert "job 1 has a result: diverged" in capfd.readouterr().out
    with claimed(swept / last.folder):
        assert work_all(swept) == 0, "another process has the only open job"
    assert states(swept)[2] is None
    (swept / first.folder / "status.json").write_text('{"state": "fini')
    assert work_all(swept) == 0
    assert states(swept) == ["finished", "diverged", "finished"]
    assert attempts(swept) == [1, 1, 1]


def test_folders_that_the_command_line_calls_otherwise_hold_the_jobs_of_their_numbers(command: Command, tmp_path: Path):
    """A table that took numbers from names would send `sweep work --index` to another job."""
    root = tmp_path / "sweep"
    assert command("-m", *BRIEF, "seed=2,1", "hydra.sweep.subdir=${seed}", f"hydra.sweep.dir={root}") == 0
    assert [job.folder for job in read_sweep_file(root).jobs] == ["2", "1"]
    assert sorted((row.number, row.folder) for row in collect(root).rows) == [(0, "2"), (1, "1")]


@pytest.mark.parametrize("size", ["-1", "0", "1.5", "two"])
def test_a_batch_of_no_jobs_is_refused_before_any_is_frozen(command: Command, tmp_path: Path, capfd, size: str):
    root = tmp_path / "sweep"
    assert command("-m", "seed=1,2", f"hydra.sweeper.max_batch_size={size}", f"hydra.sweep.dir={root}") == 1
    assert "`hydra.sweeper.max_batch_size` must be a whole number above 0" in capfd.readouterr().err
    assert not (root / "sweep.json").exists()


@pytest.mark.parametrize("setting", ["n_jobs=0", "batch_size=-3"])
def test_what_joblib_refuses_is_said_before_any_job_is_frozen(command: Command, tmp_path: Path, capfd, setting: str):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    root = tmp_path / "sweep"
    words = ("-m", "seed=1,2", "hydra/launcher=joblib", f"hydra.launcher.{setting}", f"hydra.sweep.dir={root}")
    assert command(*words) == 1
    assert "joblib refuses its settings" in capfd.readouterr().err
    assert not (root / "sweep.json").exists()


@pytest.mark.parametrize("word", ["hydra.sweep.dir=elsewhere", "hydra.sweep.subdir=x", "hydra.sweeper.params.seed=1"])
def test_what_has_no_effect_on_a_sweep_that_goes_on_is_refused(swept: Path, command: Command, capfd, word: str):
    assert command("-m", f"sweep.resume={swept}", f"hydra.sweep.dir={swept}") == 0
    capfd.readouterr()
    assert command("-m", f"sweep.resume={swept}", f"+{word}" if "params" in word else word) == 1
    assert "error[MF077]" in capfd.readouterr().err
    assert not Path("elsewhere").exists()


def test_a_failed_job_is_run_again_on_demand(swept: Path):
    root = swept
    path = root / read_sweep_file(root).jobs[0].folder / "status.json"
    status = json.loads(path.read_text())
    path.write_text(json.dumps({**status, "state": "failed"}))
    shutil.rmtree(root / read_sweep_file(root).jobs[0].folder / "checkpoints", ignore_errors=True)
    work_all(root)
    assert states(root) == ["failed", "diverged", "finished"]
    assert work_all(root, retry_failed=True) == 0
    assert states(root)[0] == "finished"
    assert attempts(root) == [2, 1, 1]


def test_a_folder_is_for_one_sweep(swept: Path, command: Command, tmp_path: Path, capfd):
    words = ("-m", *BRIEF, "seed=0,1")
    assert command(*words, f"hydra.sweep.dir={swept}") == 1
    assert f"to go on with it: `python train.py sweep.resume={swept}`" in capfd.readouterr().err
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("")
    assert command(*words, f"hydra.sweep.dir={foreign}") == 1
    assert "already holds `notes.txt`" in capfd.readouterr().err
    assert command(*words, f"hydra.sweep.dir={foreign / 'notes.txt'}") == 1
    with claimed(tmp_path / "busy"):
        assert command(*words, f"hydra.sweep.dir={tmp_path / 'busy'}") == 1
        assert (tmp_path / "busy" / LOCK).exists()
    assert "error[MF078]: another process runs the sweep" in capfd.readouterr().err


def test_nothing_begins_where_a_job_is_wrong(command: Command, tmp_path: Path, capfd):
    root = tmp_path / "sweep"
    words = ("-m", *BRIEF, "optimizer.betas=[0.9],[0.9,0.99]", "seed=0,1")
    assert command(*words, f"hydra.sweep.dir={root}") == 1
    assert not [*root.rglob("status.json")]
    err = capfd.readouterr().err
    assert "`betas` of AdamW must be a list of 2 numbers, but is [0.9] (in 2 of 4 jobs)" in err
    assert "Traceback" not in err
    assert command(*words, "sweep.skip_invalid=true", f"hydra.sweep.dir={tmp_path / 'other'}") == 0
    assert "warning[MW223]: left out: `betas`" in capfd.readouterr().err
    assert states(tmp_path / "other") == ["finished", "finished"]
    assert len(read_sweep_file(tmp_path / "other").left_out) == 2


@pytest.mark.parametrize("error", [RuntimeError("no luck"), SystemExit(0)])
def test_a_job_that_fails_does_not_stop_the_others(command: Command, tmp_path: Path, monkeypatch, capfd, error):
    root = tmp_path / "sweep"
    fit = modelforge.train.fit.fit

    def failing(config, *arguments, **options):
        if config.values["seed"] == 0:
            raise error
        return fit(config, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr("modelforge.train.fit.fit", failing)
        assert command("-m", *BRIEF, "seed=0,1", f"hydra.sweep.dir={root}") == 1
        assert states(root) == ["failed", "finished"]
        shutil.rmtree(root / read_sweep_file(root).jobs[1].folder)
        capfd.readouterr()
        assert work_all(root, retry_failed=True) == 1
        assert "\n[1] model=mlp" in capfd.readouterr().out
    assert states(root) == ["failed", "finished"]
    assert command(f"sweep.resume={root}") == 0
    assert states(root) == ["finished", "finished"]
    assert attempts(root) == [3, 1]


def test_an_interrupted_sweep_says_how_to_go_on(command: Command, tmp_path: Path, monkeypatch, capfd):
    root = tmp_path / "a sweep"

    def interrupted(config, *arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("modelforge.train.fit.fit", interrupted)
        assert command("-m", *BRIEF, "seed=0,1", f"hydra.sweep.dir='{root}'") == 130
    resume = shlex.split(capfd.readouterr().out.splitlines()[-1])
    assert resume[:-1] == ["to", "go", "on:", "python", "train.py"]
    assert command(resume[-1]) == 0
    assert states(root) == ["finished", "finished"]


def test_equal_jobs_run_once_and_left_behind_arguments_stay_behind(command: Command, tmp_path: Path, capfd):
    root = tmp_path / "sweep"
    words = ("optimizer.type=SGD", "tags=[a],[b]", "seed=1", "sweep.where=seed == 1")
    assert command("-m", *BRIEF, *words, f"hydra.sweep.dir={root}") == 0
    assert states(root) == ["finished"]
    err = capfd.readouterr().err
    assert "warning[MW222]: `tags=[a]` and `tags=[b]` make the same config" in err
    assert "warning[MW212]" in err
    assert not any("sweep." in job.folder for job in read_sweep_file(root).jobs)
    assert read_sweep_file(root).where == ("seed == 1",)
    assert "betas" not in read_job(root, 0).config["optimizer"]


def test_later_edits_of_conf_reach_no_job(swept: Path, command: Command, tmp_path: Path, monkeypatch):
    job = read_job(swept, 2)
    monkeypatch.chdir(tmp_path)
    assert work(swept, 2).status.seed == job.seed
    found = (swept / job.folder / "config.yaml").read_text()
    assert "lr: 0.02" in found


def test_a_damaged_sweep_is_a_problem(swept: Path, command: Command, capfd):
    (swept / "jobs" / "0002.yaml").write_text("a: [")
    assert command(f"sweep.resume={swept}") == 1
    assert "error[MF076]" in capfd.readouterr().err
    (swept / "sweep.json").write_text("{")
    assert command(f"sweep.resume={swept}") == 1
    out = capfd.readouterr()
    assert "error[MF076]" in out.err
    assert "Traceback" not in out.out + out.err


@pytest.mark.parametrize("name", ["nope", "others"])
def test_a_folder_without_a_sweep_is_left_as_it_is(command: Command, tmp_path: Path, capfd, name: str):
    (tmp_path / "others").mkdir()
    assert command(f"sweep.resume={tmp_path / name}") == 1
    assert "error[MF076]" in capfd.readouterr().err
    assert [*tmp_path.rglob("*")] == [tmp_path / "others"]


def test_the_job_with_the_most_threads_decides_how_many_run_at_once(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also where the file of an option has them, and not the command line."""
    given: list[int | None] = []

    def launching(multirun, num_threads, num_jobs):
        given.append(num_threads)
        raise KeyboardInterrupt

    monkeypatch.setattr("modelforge.sweeps.frozen_sweep.make_launcher", launching)
    monkeypatch.setattr("modelforge.train.prepare.num_cores", lambda: 8)
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    for name, number in (("few", 1), ("many", 5)):
        (folder / f"{name}.yaml").write_text(f"# @package _global_\nnum_threads: {number}\n")
    root = tmp_path / "sweep"
    words = ("-m", *BRIEF, "experiment=few,many", f"hydra.searchpath=[file://{folder.parent}]")
    assert command(*words, f"hydra.sweep.dir={root}") == 130
    assert command(f"sweep.resume={root}") == 130
    (root / "jobs" / "0000.yaml").write_text("")
    assert command(f"sweep.resume={root}") == 130
    assert given == [5, 5, 5]
