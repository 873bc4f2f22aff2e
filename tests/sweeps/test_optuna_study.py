"""A study on disk: what trials are told, who may go on with them, and several processes on one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from modelforge.core.errors import ForgeError
from modelforge.sweeps.optuna_settings import SamplerSettings
from modelforge.sweeps.optuna_space import read_space
from modelforge.sweeps.optuna_study import MAX_ATTEMPTS, Search
from modelforge.train.studies import JOURNAL, PRUNED, find_trial

SPACE = ("a=interval(0, 1)", "b=x,y")


def search(folder: Path, *space: str, minimize: bool = True, **sampler) -> Search:
    settings = SamplerSettings(**sampler).model_dump()
    return Search(folder, read_space(space or SPACE), settings, "val/loss", minimize=minimize)


def finished(value: float) -> dict:
    return {"state": "finished", "optimized_metric": "val/loss", "metrics": {"val/loss": value, "test/loss": 0.0}}


def points(folder: Path, number: int, **options) -> list[tuple[str, ...]]:
    """The overrides of trials, each of which is told a value that its point decides."""
    found = []
    with search(folder, **options) as study:
        while (asked := study.take(number)) is not None:
            found.append(asked.overrides)
            study.tell(asked.number, finished(float(asked.overrides[0][2:])))
    return found


def test_what_becomes_of_a_job_is_what_its_trial_is_told(tmp_path: Path):
    ends = [finished(0.5), {"state": "diverged"}, {"state": "failed"}, finished(0.25) | {"metrics": {}}, finished(0.3)]
    with search(tmp_path) as study:
        for status in [*ends, *[{"state": "killed"}] * MAX_ATTEMPTS]:
            asked = study.take(10)
            if status is ends[4]:
                find_trial(study.study, asked.number).report(0.7, 1)
                find_trial(study.study, asked.number).set_user_attr(PRUNED, 1)
            study.tell(asked.number, status)
        trials = study.study.trials
        assert study.best.number == 0
    states = [trial.state for trial in trials]
    complete, fail, pruned = TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED
    assert states == [complete, complete, fail, fail, pruned, fail]
    assert [trial.value for trial in trials] == [0.5, float("inf"), None, None, 0.7, None]


def test_a_trial_that_has_the_result_of_a_pruned_one_is_pruned(tmp_path: Path):
    """Of equal points one job runs: what it gave after few epochs is no result of the second trial, either."""
    with search(tmp_path) as study:
        study.tell(study.take(1).number, finished(0.1) | {"pruned": True})
        assert [trial.state for trial in study.study.trials] == [TrialState.PRUNED]
        assert study.best is None


@pytest.mark.parametrize("minimize", [True, False])
def test_of_equal_trials_the_first_is_best(tmp_path: Path, minimize: bool):
    with search(tmp_path, minimize=minimize) as study:
        for status in ({"state": "diverged"}, finished(0.5), finished(0.5), finished(0.7 if minimize else 0.3)):
            study.tell(study.take(4).number, status)
        assert study.best.number == 1


@pytest.mark.parametrize("name", ["tpe", "random", "gp", "qmc"])
def test_a_search_in_two_parts_draws_what_one_draws(tmp_path: Path, name: str):
    settings = {"name": name, **({"n_startup_trials": 3} if name in ("tpe", "gp") else {})}
    (tmp_path / "one").mkdir()
    whole = points(tmp_path / "one", 6, **settings)
    assert len(set(whole)) == 6
    (tmp_path / "two").mkdir()
    assert [*points(tmp_path / "two", 2, **settings)] == whole[:2]
    assert [*points(tmp_path / "two", 6, **settings)] == whole[2:]


def test_processes_that_live_keep_their_trials_and_those_of_the_dead_are_taken_over(tmp_path: Path):
    with search(tmp_path) as first, search(tmp_path) as second:
        assert [first.take(3).number, second.take(3).number, first.take(3).number] == [0, 1, 2]
        assert first.take(3) is None
        second.tell(1, {"state": "interrupted"})
        assert first.take(3).number == 1
        with_overrides = first.space.overrides(first.study.trials[0].params)
    with search(tmp_path) as third:
        assert third.take(3).overrides == with_overrides
        assert {third.take(3).number, third.take(3).number} == {1, 2}
        assert third.take(3) is None


CHILD = """
import sys, time
from pathlib import Path
from tests.sweeps.test_optuna_study import search
with search(Path(sys.argv[1])) as study:
    print(study.take(9).number, flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_a_trial_of_a_killed_process_is_taken_over(tmp_path: Path):
    with search(tmp_path) as study:
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "0\n"
        assert study.take(2).number == 1
        assert study.take(2) is None
        child.send_signal(signal.SIGKILL)
        child.communicate()
        time.sleep(0.1)
        assert study.take(2).number == 0


def test_a_study_of_something_else_is_refused(tmp_path: Path):
    with search(tmp_path) as study:
        study.take(1)
    with pytest.raises(ForgeError, match="has another space"):
        search(tmp_path, "a=interval(0, 2)")
    (tmp_path / JOURNAL).write_text("{\n{}\n")
    with pytest.raises(ForgeError, match="MF076"):
        search(tmp_path)
