"""Ray: the same results as without it, on a cluster of two workers, one of which is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra `ray`")

from tests.sweeps.projects import SMALL, metrics, multirun, project, statuses


@pytest.mark.slow
def test_two_workers_give_what_one_process_gives_though_a_worker_is_killed(tmp_path: Path):
    place = project(tmp_path / "project")
    words = (*SMALL, "seed=0,1", "callbacks=dies", "callbacks.dies.how=well,killed-once")
    ray = ("hydra/launcher=ray", "hydra.launcher.total_cpus=2", "hydra.sweep.dir=ray")
    code, _, err = multirun(place, *words, *ray)
    assert code == 0, err
    attempts = [status["attempt"] for _, status in sorted(statuses(place / "ray").items())]
    assert attempts == [1, 2, 1, 2]
    code, _, err = multirun(place, *words, "hydra.sweep.dir=basic", WELL="1")
    assert code == 0, err
    assert metrics(place / "ray") == metrics(place / "basic")


@pytest.mark.slow
def test_a_job_that_kills_each_worker_ends_alone(tmp_path: Path):
    place = project(tmp_path / "project")
    words = (*SMALL, "callbacks=dies", "callbacks.dies.how=well,killed,well-2", "hydra.launcher.max_retries=1")
    code, out, err = multirun(place, *words, "hydra/launcher=ray", "hydra.sweep.dir=ray")
    assert code == 1
    assert "2 finished, 1 killed" in out
    assert "Traceback" not in err
