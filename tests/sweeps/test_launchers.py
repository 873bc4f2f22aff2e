"""Engines of a sweep: what a broken pool leaves is launched again, and threads fit the cores."""

from __future__ import annotations

import sys
import tomllib
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from modelforge.config.engines import EXTRAS, OPTUNA, RAY
from modelforge.config.overrides import parse, unknown_option
from modelforge.config.sweeps import Axis, Sweep
from modelforge.core.errors import ForgeError, Place
from modelforge.sweeps import launchers
from modelforge.sweeps.launchers import fit_to_cores, run_all, start_early
from modelforge.sweeps.optuna_settings import OptunaSettings, parse_settings
from tests.sweeps.projects import ROOT, SMALL, WELL, metrics, multirun, project, statuses

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


class Pool:
    """A launcher with two workers, in which `bad` jobs break the pool, and the others on it with them."""

    def __init__(self, *bad: int, error: BaseException | None = None) -> None:
        self.bad, self.error = bad, error or BrokenProcessPool()
        self.launches: list[list[int]] = []
        self.found: dict[int, dict] = {}

    def launch(self, overrides, initial_job_idx):
        numbers = [int(words[0]) for words in overrides]
        self.launches.append(numbers)
        for pair in (numbers[at : at + 2] for at in range(0, len(numbers), 2)):
            broken = any(number in self.bad for number in pair)
            for number in pair:
                before = self.found.get(number, {}).get("started", 0)
                self.found[number] = {"state": "killed" if broken else "finished", "started": before + 1}
            if broken:
                raise self.error

    def run(self, *numbers: int) -> dict[int, str]:
        run_all(self, [(number, [str(number)]) for number in numbers], lambda number: self.found.get(number, {}))
        return {number: status["state"] for number, status in sorted(self.found.items())}


@pytest.mark.parametrize("error", [BrokenProcessPool(), SystemExit(143)])
def test_only_the_job_that_breaks_a_pool_is_lost(error):
    pool = Pool(1, 4, error=error)
    assert pool.run(0, 1, 2, 3, 4, 5, 6) == dict.fromkeys(range(7), "finished") | {1: "killed", 4: "killed"}
    assert pool.launches == [[0, 1, 2, 3, 4, 5, 6], [2, 3, 4, 5, 6], [6], [0], [1], [4], [5]]


def test_a_status_of_an_earlier_sweep_is_no_end_of_this_one():
    pool = Pool(0)
    pool.found = {number: {"state": "failed", "started": 7} for number in (2, 3)}
    assert pool.run(0, 1, 2, 3) == {0: "killed", 1: "finished", 2: "finished", 3: "finished"}


def test_a_job_that_is_killed_before_it_writes_its_new_status_is_run_again():
    """A job that begins again clears its folder first, its status too."""
    pool = Pool()
    pool.found = {0: {"state": "failed", "started": 7}}

    def launch(overrides, initial_job_idx):
        if not pool.launches:
            pool.launches.append([0])
            pool.found.clear()
            raise BrokenProcessPool
        Pool.launch(pool, overrides, initial_job_idx)

    pool.launch = launch
    assert pool.run(0) == {0: "finished"}


def test_a_pool_that_cannot_start_is_not_tried_for_ever():
    pool = Pool()
    pool.launch = lambda *_: (_ for _ in ()).throw(BrokenProcessPool())
    assert pool.run(0, 1) == {}


def of(**settings):
    return OmegaConf.create({"hydra": {"launcher": settings}})


JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
LOCAL = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"
OURS = "hydra_plugins.modelforge.launchers.RayLauncher"


@pytest.mark.parametrize(
    ("given", "threads", "fitted"),
    [({"_target_": JOBLIB, "n_jobs": -1}, 1, {"n_jobs": 8}),
     ({"_target_": JOBLIB, "n_jobs": -1}, 3, {"n_jobs": 2}),
     ({"_target_": JOBLIB, "n_jobs": -1}, 16, {"n_jobs": 1}),
     ({"_target_": JOBLIB, "n_jobs": -1}, None, {"n_jobs": 8}),  # joblib gives each its share of threads
     ({"_target_": JOBLIB, "n_jobs": -2}, 1, {"n_jobs": 7}),  # all cores but one
     ({"_target_": JOBLIB, "n_jobs": -2}, 2, {"n_jobs": 3}),
     ({"_target_": JOBLIB, "n_jobs": -9}, 1, {"n_jobs": 1}),
     ({"_target_": JOBLIB, "n_jobs": 4}, 2, {"n_jobs": 4}),
     ({"_target_": LOCAL, "cpus_per_task": None}, 2, {"cpus_per_task": 2}),
     ({"_target_": LOCAL, "cpus_per_task": 4}, 2, {"cpus_per_task": 4}),
     ({"_target_": OURS, **RAY}, 2, {"num_cpus": 2, "total_cpus": 8}),
     ({"_target_": OURS, **RAY, "address": "auto"}, None, {"num_cpus": 1, "total_cpus": None}),
     ({"_target_": "hydra_plugins.other.Launcher"}, 2, {})],
)  # fmt: skip
def test_jobs_at_once_fit_the_cores(monkeypatch: pytest.MonkeyPatch, given, threads, fitted):
    monkeypatch.setattr(launchers, "num_cores", lambda: 8)
    config = of(**given)
    assert [*fit_to_cores(config, threads, 12)] == []
    assert {key: config.hydra.launcher[key] for key in fitted} == fitted


@pytest.mark.parametrize(
    ("n_jobs", "num_jobs", "number"), [(-1, 3, 3), (6, 3, 3), (-1, 1, 2), (1, 3, 1), (-2, 99, 63), (-2, 3, 3)]
)
def test_a_pool_has_no_more_workers_than_jobs(monkeypatch: pytest.MonkeyPatch, n_jobs: int, num_jobs: int, number: int):
    monkeypatch.setattr(launchers, "num_cores", lambda: 64)
    config = of(_target_=JOBLIB, n_jobs=n_jobs)
    assert [*fit_to_cores(config, None, num_jobs)] == []
    assert config.hydra.launcher.n_jobs == number


@pytest.mark.parametrize(
    ("words", "n_jobs", "number"),
    [((), -1, 4), (("num_threads=2", "num_threads=1"), -1, 2), (("num_threads=2",), 3, 3), (("num_threads=8",), -1, 1),
     (("num_threads=null",), -1, 4), (("seed=1", "seed=2", "seed=3"), -1, 3), ((), 1, 1),
     ((), -2, 3)],
)  # fmt: skip
def test_early_workers_are_those_that_the_launcher_has(
    monkeypatch: pytest.MonkeyPatch, words, n_jobs: int, number: int
):
    begun: list[int] = []
    early = SimpleNamespace(early_workers=lambda settings, number: nullcontext(begun.append(number)))
    monkeypatch.setitem(sys.modules, "modelforge.sweeps.launchers_joblib", early)
    monkeypatch.setattr(launchers, "num_cores", lambda: 4)
    rows = (words, () if "seed=1" in words else tuple(f"seed={seed}" for seed in range(9)))
    sweep = Sweep(tuple(Axis(row[0].partition("=")[0], row, "", Place(), is_list=True) for row in rows if row), {}, {})
    monkeypatch.setattr(launchers, "running_sweep", lambda config: sweep)
    config = OmegaConf.merge(of(_target_=JOBLIB, n_jobs=n_jobs), {"num_threads": 1, "sweep": {"resume": None}})
    with start_early(config):
        assert begun == ([number] if number > 1 else [])
    list(fit_to_cores(config, launchers._threads(config, sweep), sweep.num_jobs))
    assert config.hydra.launcher.n_jobs == number
    config.sweep.resume = "sweep"
    with start_early(config):
        assert len(begun) == (number > 1), "a sweep that goes on composes nothing meanwhile"


@pytest.mark.parametrize(
    ("file", "words", "begins"),
    [("experiment/big.yaml", ("experiment=big", "experiment=small"), False),
     ("experiment/big.yaml", ("experiment=big",), True),  # the multirun's config has it
     ("experiment/big.yaml", ("seed=1", "seed=2"), True),
     ("config.yaml", ("experiment=big", "experiment=small"), True)],
)  # fmt: skip
def test_no_worker_begins_early_where_an_option_may_have_its_own_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path, file: str, words, begins: bool
):
    (tmp_path / "experiment").mkdir()
    (tmp_path / file).write_text("# @package _global_\nnum_threads: 4\n")
    begun: list[int] = []
    early = SimpleNamespace(early_workers=lambda settings, number: nullcontext(begun.append(number)))
    monkeypatch.setitem(sys.modules, "modelforge.sweeps.launchers_joblib", early)
    monkeypatch.setattr(launchers, "num_cores", lambda: 4)
    sweep = Sweep((Axis(words[0].partition("=")[0], words, "", Place(), is_list=True),), {}, {})
    monkeypatch.setattr(launchers, "running_sweep", lambda config: sweep)
    source = {"provider": "main", "schema": "file", "path": str(tmp_path)}
    hydra = {"hydra": {"runtime": {"config_sources": [source]}, "job": {"config_name": "config"}}}
    config = OmegaConf.merge(of(_target_=JOBLIB, n_jobs=-1), hydra, {"num_threads": 1, "sweep": {"resume": None}})
    with start_early(config):
        assert bool(begun) == begins


def test_too_many_threads_are_a_warning(monkeypatch: pytest.MonkeyPatch, snapshot):
    monkeypatch.setattr(launchers, "num_cores", lambda: 8)
    (problem,) = fit_to_cores(of(_target_=JOBLIB, n_jobs=6), 2, 12)
    assert str(problem) == snapshot


@pytest.mark.parametrize("choice", sorted(EXTRAS))
def test_what_is_not_installed_names_its_extra(choice: str):
    group, _, option = choice.rpartition("/")
    (override,) = parse([f"{group}={option}"])
    problem = unknown_option(override, option, ["basic"], "conf")
    assert problem.message == f"`{group}` has no option `{option}`"
    assert problem.hint == f"pip install 'modelforge[{EXTRAS[choice]}]'"
    assert EXTRAS[choice] in PROJECT["optional-dependencies"]


def test_settings_of_a_search_are_checked(snapshot):
    assert parse_settings(dict(OPTUNA)) == OptunaSettings()
    with pytest.raises(ForgeError) as error:
        parse_settings({"n_trials": 0, "n_trails": 3, "sampler": {"name": "cmaes"}, "direction": "max"})
    assert str(error.value) == snapshot


@pytest.mark.parametrize(
    ("name", "unread"),
    [("random", "n_startup_trials"), ("qmc", "constant_liar"), ("gp", "multivariate"), ("gp", ""), ("tpe", "")],
)
def test_settings_of_another_sampler_are_refused(name: str, unread: str):
    given = {"n_startup_trials": 50, "multivariate": True, "constant_liar": False}
    read = {"tpe": [*given], "gp": ["n_startup_trials"]}.get(name, [])
    parse_settings({**OPTUNA, "sampler": {**OPTUNA["sampler"], "name": name, **{key: given[key] for key in read}}})
    if unread:
        sampler = {**OPTUNA["sampler"], "name": name, unread: given[unread]}
        with pytest.raises(ForgeError, match=f"`{unread}` has no effect: the sampler is `{name}`") as refused:
            parse_settings({**OPTUNA, "sampler": sampler})
        assert [problem.key for problem in refused.value.problems] == [f"hydra.sweeper.sampler.{unread}"]


HOW = "well,killed,failed,well-2"


@pytest.mark.slow
def test_joblib_runs_all_jobs_whatever_becomes_of_some(tmp_path):
    place = project(tmp_path / "project")
    engine = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    words = (*SMALL, *engine, "callbacks=dies", f"callbacks.dies.how={HOW}", "hydra.sweep.dir=sweep")
    code, out, err = multirun(place, *words)
    assert code == 1, err
    assert "2 finished, 1 failed, 1 killed" in out
    assert "loky" not in err
    before = {number: one["attempt"] for number, one in statuses(place / "sweep").items() if one["state"] == "finished"}
    code, out, err = multirun(place, "sweep.resume=sweep", *engine, **{WELL: "1"})
    assert code == 0, err
    found = metrics(place / "sweep")
    assert list(found) == [0, 1, 2, 3]
    assert all(values == found[0] for values in found.values())
    after = statuses(place / "sweep")
    assert {number: after[number]["attempt"] for number in before} == before, "what had finished is left alone"
