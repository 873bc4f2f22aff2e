"""joblib: workers begin before the jobs are known, and do not outlive the process that started them."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from modelforge.runs.liveness import claimed
from modelforge.sweeps import launchers_joblib
from modelforge.sweeps.launchers_joblib import WhileParentLives, begin, end_with
from modelforge.sweeps.launchers_joblib import _interrupted_after_jobs as interrupted_after_jobs
from tests.runs.jobs import job
from tests.sweeps.projects import SMALL, WELL, multirun, project, start, statuses, wait_for

NUM = 6
ENGINE = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def states(sweep: Path) -> list[str]:
    return [status["state"] for status in statuses(sweep).values()]


def test_a_worker_without_a_parent_waits_for_the_status_of_its_job(monkeypatch: pytest.MonkeyPatch):
    """It asks the job to stop as soon as that listens, and once; the job listens no more when it writes its status."""
    steps: list[str] = []
    monkeypatch.setattr(launchers_joblib, "PERIOD", 0.01)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setattr(os, "_exit", lambda code: steps.append(f"exit {code}"))
    worker = threading.Thread(target=end_with, args=(2,))

    def job(config: None) -> None:
        worker.start()
        time.sleep(0.05)
        before = signal.signal(signal.SIGTERM, lambda *_: steps.append("asked"))
        wait_for(lambda: steps)
        signal.signal(signal.SIGTERM, before)
        time.sleep(0.05)
        steps.append("status")

    WhileParentLives(job, os.getpid())(None)
    worker.join()
    launchers_joblib._working.release()
    assert steps == ["asked", "status", f"exit {128 + signal.SIGTERM}"]


def test_ctrl_c_is_the_parents_until_the_first_job(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(launchers_joblib, "end_with", lambda parent: None)
    monkeypatch.setattr(launchers_joblib, "import_module", lambda name: None)
    monkeypatch.setattr(launchers_joblib, "import_extras_late", lambda: None)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        begin(os.getpid())
        signal.raise_signal(signal.SIGINT)
        assert launchers_joblib._stopping.is_set()
        monkeypatch.setattr(launchers_joblib, "STOPPING", 0)
        job = WhileParentLives(lambda config: signal.getsignal(signal.SIGINT), os.getpid())
        assert job(None) is signal.default_int_handler
        assert not launchers_joblib._stopping.is_set()
        assert signal.getsignal(signal.SIGINT) is launchers_joblib.leave_to_parent, "it is the parent's again"
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background of a shell
        begin(os.getpid())
        assert job(None) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)


def test_ctrl_c_waits_for_running_jobs(tmp_path: Path):
    """Not for jobs that have stopped, nor at a second one."""
    job(tmp_path / "0", "interrupted")
    with pytest.raises(KeyboardInterrupt), interrupted_after_jobs(tmp_path):
        signal.raise_signal(signal.SIGINT)
    job(tmp_path / "1", "running")
    begin = time.monotonic()
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with claimed(tmp_path / "1"), pytest.raises(KeyboardInterrupt), interrupted_after_jobs(tmp_path):
        signal.raise_signal(signal.SIGINT)
    assert 0.9 < time.monotonic() - begin < launchers_joblib.STOPPING
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_a_sweep_that_is_refused_says_that_alone_and_leaves_no_worker(tmp_path: Path):
    place = project(tmp_path / "project")
    words = (*SMALL, *ENGINE, "optimizer.lrr=1,2", "hydra.sweep.dir=sweep")
    code, _, err = multirun(place, *words)
    assert code == 1
    assert "optimizer.lrr" in err
    assert "still being processed" not in err
    assert "Warning" not in err
    assert not (place / "sweep").exists()
    here = {str(place)}
    assert not [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] in here]


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
