"""Ctrl-C while processes start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from modelforge.runs.status import read_state
from modelforge.sweeps.interrupts import held_back, let_through
from tests.sweeps.projects import SMALL, project, start, wait_for

CHILD = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print(signal.sigpending())"


def states(sweep: Path) -> list[str | None]:
    return [read_state(path.parent) for path in sweep.glob("*/status.json")]


def test_a_process_that_starts_holds_ctrl_c_back():
    with held_back():
        child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    assert (child.returncode, child.stdout.strip(), child.stderr) == (0, "{<Signals.SIGINT: 2>}", "")


def interrupted() -> list[str]:
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # not to another thread, as of xdist
    return ["goes on"]


def test_a_ctrl_c_that_was_held_back_takes_effect_afterwards():
    found: list[str] = []
    with pytest.raises(KeyboardInterrupt), held_back():
        found += interrupted()
    assert found
    with held_back():
        interrupted()
        with pytest.raises(KeyboardInterrupt):
            let_through()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "send"), [("joblib", os.killpg), ("joblib", os.kill), ("submitit_local", os.killpg)]
)
def test_ctrl_c_stops_the_jobs_of_other_processes_without_a_traceback(
    tmp_path: Path, launcher: str, send: Callable[[int, int], None]
):
    """A terminal sends it to all processes: those that train, and the one that only begins. `kill` sends it to the
    parent alone. None is killed, and none is waited for in vain.
    """
    place = project(tmp_path / "project")
    words = (*SMALL, "callbacks=dies", "callbacks.dies.how=slow", "seed=0,1", "trainer.max_epochs=50")
    engine = (f"hydra/launcher={launcher}", "hydra.sweep.dir=sweep")
    parent = start(place, *words, *engine, own_group=True)
    wait_for(lambda: "running" in states(place / "sweep"))
    send(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=300)
    assert parent.returncode == 130
    assert "to go on: python train.py sweep.resume=sweep" in out
    assert "Traceback" not in err
    if launcher == "joblib":
        assert "running" not in states(place / "sweep"), "they have stopped before their parent"
    wait_for(lambda: "running" not in states(place / "sweep"))
    assert {*states(place / "sweep")} == {"interrupted"}
