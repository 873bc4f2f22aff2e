"""joblib: workers begin before the jobs are known, and do not outlive the process that started them."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.sweeps.projects import SMALL, WELL, multirun, project, start, statuses

NUM = 6
ENGINE = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def wait_for(condition, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def states(sweep: Path) -> list[str]:
    return [status["state"] for status in statuses(sweep).values()]


@pytest.mark.slow
def test_workers_end_with_their_parent_and_their_jobs_go_on_later(tmp_path: Path):
    place = project(tmp_path / "project")
    words = (*SMALL, *ENGINE, "callbacks=dies", "callbacks.dies.how=slow", "seed=0,1,2,3,4,5", "hydra.sweep.dir=sweep")
    parent = start(place, *words)
    wait_for(lambda: "running" in states(place / "sweep"))
    workers = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    _, alive = psutil.wait_procs(workers, timeout=120)
    assert not alive
    assert {*states(place / "sweep")} <= {"interrupted", "finished"}
    assert len(states(place / "sweep")) < NUM, "what was in the queue did not begin"
    code, out, err = multirun(place, "sweep.resume=sweep", *ENGINE, **{WELL: "1"})
    assert (code, err) == (0, "")
    assert f"{NUM} finished" in out
