"""A search by Optuna as a sweep: frozen trials, ended early, diverged or lost, and gone on with after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from modelforge.config.folder import default_conf
from modelforge.core.errors import ForgeError, Problem
from modelforge.results.collect import collect
from modelforge.runs.jobs import JOBS_FOLDER
from modelforge.sweeps import optuna_search
from modelforge.sweeps.optuna_space import Space, read_space
from modelforge.sweeps.optuna_study import Asked
from modelforge.train.studies import JOURNAL, PRUNED, open_study
from tests.sweeps.projects import BRIEF, SMALL, multirun, project, start, statuses

Command = Callable[..., int]
SPACE = ("optimizer.lr=tag(log,interval(1e-4,1e-1))", "hydra/sweeper=optuna", "hydra.sweep.dir=sweep")


def trials(place: Path) -> list[optuna.trial.FrozenTrial]:
    return open_study(place / "sweep" / JOURNAL).trials


def test_a_job_that_another_process_runs_is_told_when_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A search that was killed is resumed while its job goes on at Slurm: the launcher refuses the job at once."""
    monkeypatch.setattr(optuna_search, "POLL", 0.0)
    trials = optuna_search._Trials(tmp_path, tmp_path, "config", Space({}, ()))
    states = iter(["running", "running", "finished"])
    monkeypatch.setattr(trials, "status", lambda number: {"state": next(states)})
    assert trials.ended(0) == {"state": "finished"}
    assert next(states, None) is None


def test_a_trial_is_frozen_without_the_arguments_of_another_type(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    (tmp_path / JOBS_FOLDER).mkdir()
    trials = optuna_search._Trials(tmp_path, default_conf(), "config", Space({}, ()))
    study: Any = None  # told of no trial
    words = ("model=mlp", "optimizer.type=SGD")
    jobs = [trials.job(Asked(number, (*words, f"seed={number}")), study) for number in range(2)]
    assert [job and "betas" in job.config["optimizer"] for job in jobs] == [False, False]
    assert capfd.readouterr().err.count("warning[MW212]") == 1


def test_the_command_line_says_how_the_folders_of_trials_are_called(tmp_path: Path):
    folders = ("hydra.sweep.subdir=trials/${hydra:job.num}",)
    trials = optuna_search._Trials(tmp_path, default_conf(), "config", Space({}, ()), folders)
    assert trials.frozen(Asked(3, ("model=mlp",)))[0].folder == "trials/3"


def test_a_job_of_another_point_is_not_the_trial_of_its_number(tmp_path: Path):
    """Where the journal was lost, a new study asks for other points under the numbers of jobs that have results."""
    (tmp_path / JOBS_FOLDER).mkdir()
    study: Any = None  # told of no trial
    for seed in (1, 1, 2):
        trials = optuna_search._Trials(tmp_path, default_conf(), "config", Space({}, ()))
        asked = Asked(0, ("model=mlp", f"seed={seed}"))
        if seed == 1:
            job = trials.job(asked, study)
            assert job is not None
            assert job.seed == 1
            continue
        with pytest.raises(ForgeError, match=r"job 0 in .* is not trial 0 of the study"):
            trials.job(asked, study)


def test_a_sweep_of_listed_jobs_is_no_search(command: Command, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    folder = tmp_path / "sweep"
    assert command("-m", *BRIEF, "init.gain=1,2", "hydra/launcher=none", f"hydra.sweep.dir={folder}") == 0
    assert command("-m", f"sweep.resume={folder}", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1") == 1
    assert "has a list of jobs, and is no search" in capfd.readouterr().err
    assert not (folder / JOURNAL).exists()


def test_a_key_that_does_not_exist_is_said_once_before_the_first_trial(snapshot):
    space = read_space(["model=mlp", "optimizer.lrr=interval(0.1, 1)", "init=orthogonal,torch"])
    with pytest.raises(ForgeError) as caught:
        optuna_search._check_keys(space, default_conf(), "config")
    assert str(caught.value) == snapshot
    some = read_space(["model=mlp,lstm", "model.layers.rnn.hidden_size=range(8, 16)"])
    optuna_search._check_keys(some, default_conf(), "config")  # of one model it is there


@pytest.mark.parametrize("num", [2, 9])
def test_a_space_is_not_refused_where_only_some_pairs_can_be_composed(monkeypatch: pytest.MonkeyPatch, num: int):
    """Two groups of options of which `a0` goes with the last `b` only; of a large space not all pairs are tried."""

    def compose(conf: Path, words: Sequence[str], name: str) -> None:
        a, b = (word.partition("=")[2] for word in words)
        if (a, b) != ("0", str(num - 1)):
            raise ForgeError([Problem("MF001", f"a{a}b{b}", "they do not go together")])

    monkeypatch.setattr(optuna_search, "compose", compose)
    values = ",".join(map(str, range(num)))
    optuna_search._check_keys(read_space([f"a={values}", f"b={values}"]), Path(), "config")


@pytest.mark.slow
def test_each_end_of_a_job_has_its_state_in_the_study(tmp_path: Path):
    place = project(tmp_path / "project")
    points = ("callbacks=dies", "callbacks.dies.how=well,failed", "optimizer.lr=0.001,1e30")
    sampler = ("hydra.sweeper.sampler.name=random", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_trials=4")
    words = (*SMALL, *SPACE[1:], *points, *sampler)
    code, out, err = multirun(place, *words)
    assert code == 1, err
    assert "best of 4 trials: " in out
    found, jobs = trials(place), statuses(place / "sweep")
    assert sorted(job["state"] for job in jobs.values()) == ["diverged", "failed", "failed", "finished"]
    assert [trial.number for trial in found] == sorted(jobs) == [0, 1, 2, 3]
    for trial in found:
        status = jobs[trial.number]
        expected = {"failed": TrialState.FAIL}.get(status["state"], TrialState.COMPLETE)
        assert trial.state is expected
        if status["state"] == "finished":
            assert trial.value == status["metrics"]["val/accuracy"]
    best = collect(place / "sweep").rows[0]
    assert best.metrics["val/accuracy"] == max(trial.value for trial in found if trial.value is not None)


@pytest.mark.slow
def test_two_processes_share_a_study_that_goes_on_after_a_kill(tmp_path: Path):
    place = project(tmp_path / "project")
    words = (*SMALL, *SPACE, "callbacks=dies", "callbacks.dies.how=slow-once", "hydra.sweeper.n_trials=5")
    first, second = start(place, *words), start(place, *words)
    deadline = time.monotonic() + 600
    while not any(status["state"] == "running" for status in statuses(place / "sweep").values()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    first.kill()
    first.communicate()
    _, err = second.communicate(timeout=900)
    assert second.returncode == 0, err
    assert [trial.state for trial in trials(place)] == [TrialState.COMPLETE] * 5
    assert {status["state"] for status in statuses(place / "sweep").values()} == {"finished"}
    code, _, err = multirun(place, "sweep.resume=sweep", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6")
    assert code == 0, err
    assert len(trials(place)) == 6
    points = [trial.params["optimizer.lr"] for trial in trials(place)]
    assert len(set(points)) == 6


def test_a_search_goes_on_with_what_it_began_with_and_says_that_files_were_edited(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    folder = tmp_path / "sweep"
    words = ("-m", *BRIEF, "optimizer.lr=interval(1e-4,1e-1)", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1")
    assert command(*words, f"hydra.sweep.dir={folder}") == 0
    assert command(*words, f"hydra.sweep.dir={folder}") == 0
    resume = ("-m", f"sweep.resume={folder}", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2")
    capfd.readouterr()
    assert command(*resume, "trainer.max_epochs=3", "data.batch_size=7") == 1
    err = capfd.readouterr().err
    assert "`trainer.max_epochs` cannot be set for a search that goes on: it began with `trainer.max_epochs=1`" in err
    assert "`data.batch_size` cannot be set for a search that goes on: it began with none" in err
    assert len(open_study(folder / JOURNAL).trials) == 1
    assert command(*resume[:-1], "hydra.sweeper.n_trials=1") == 0
    assert "MW213" not in capfd.readouterr().err
    composed = optuna_search.compose
    monkeypatch.setattr(optuna_search, "compose", lambda conf, words, *more, **by_name: composed(
        conf, [*words, "optimizer.weight_decay=0.125"], *more, **by_name
    ))  # fmt: skip
    assert command(*resume) == 0
    assert "config files are no longer what trial 0 ran with, in `optimizer.weight_decay`" in capfd.readouterr().err


@pytest.mark.slow
def test_trials_are_ended_early(tmp_path: Path):
    place = project(tmp_path / "project")
    words = (*SMALL, "trainer.max_epochs=3", *SPACE, "callbacks=pruning", "callbacks.pruning.startup_trials=1")
    sampler = ("hydra.sweeper.sampler.name=random", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_trials=6")
    code, out, err = multirun(place, *words, *sampler)
    assert code == 0, err
    pruned = [trial for trial in trials(place) if trial.state is TrialState.PRUNED]
    assert pruned
    assert "and other trials did better by then" in out
    for trial in pruned:
        assert trial.user_attrs[PRUNED] < 3
        assert trial.last_step == trial.user_attrs[PRUNED]
        status = statuses(place / "sweep")[trial.number]
        assert (status["state"], status["pruned"]) == ("finished", True)
