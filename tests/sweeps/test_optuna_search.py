"""A search by Optuna as a sweep: frozen trials, ended early, diverged or lost, and gone on with after a kill."""

from __future__ import annotations

import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from modelforge.results.collect import collect
from modelforge.train.studies import JOURNAL, PRUNED, open_study
from tests.sweeps.projects import SMALL, multirun, project, start, statuses

SPACE = ("optimizer.lr=tag(log,interval(1e-4,1e-1))", "hydra/sweeper=optuna", "hydra.sweep.dir=sweep")


def trials(place: Path) -> list[optuna.trial.FrozenTrial]:
    return open_study(place / "sweep" / JOURNAL).trials


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
    code, _, err = multirun(place, "sweep.resume=sweep")
    assert (code, "add `hydra/sweeper=optuna`" in err) == (1, True)
    code, _, err = multirun(place, "sweep.resume=sweep", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6")
    assert code == 0, err
    assert len(trials(place)) == 6
    points = [trial.params["optimizer.lr"] for trial in trials(place)]
    assert len(set(points)) == 6


@pytest.mark.slow
def test_a_search_of_which_no_trial_begins_is_no_success(tmp_path: Path):
    place = project(tmp_path / "project")
    words = (*SMALL, *SPACE[1:], "optimizer.lrr=interval(0.1,1)", "hydra.sweeper.n_trials=1")
    code, out, _ = multirun(place, *words)
    assert (code, "no job began" in out) == (1, True)


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
        assert statuses(place / "sweep")[trial.number]["state"] == "finished"
