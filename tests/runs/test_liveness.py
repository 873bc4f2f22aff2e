"""Whether a run goes on: by its lock where that can be seen, by its heartbeat elsewhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.results import collect
from modelforge.runs import liveness
from modelforge.runs.liveness import claimed, heartbeat, is_alive, machine
from modelforge.runs.status import check_idle, read_state
from tests.runs.jobs import job, silent

HERE, ELSEWHERE = machine(), "another system"


@pytest.mark.parametrize("on", [HERE, ELSEWHERE])
def test_a_lock_that_is_held_is_a_run_that_goes_on(tmp_path: Path, on: str):
    job(tmp_path / "run", "running")
    silent(tmp_path / "run", 10_000)  # a process that is stopped or stalled
    with claimed(tmp_path / "run"):
        assert is_alive(tmp_path / "run", on)


def test_a_free_lock_here_is_a_run_that_is_over(tmp_path: Path):
    """However fresh its heartbeat is, and whatever has its pid now."""
    job(tmp_path / "run", "running", pid=os.getpid())
    with claimed(tmp_path / "run"):
        pass
    assert read_state(tmp_path / "run") == "killed"


@pytest.mark.parametrize(("seconds", "state"), [(0, "running"), (120, "running"), (200, "killed"), (-60, "running")])
def test_elsewhere_the_heartbeat_counts(tmp_path: Path, seconds: int, state: str):
    job(tmp_path / "run", "running", machine=ELSEWHERE, host="node7", pid=7)
    (tmp_path / "run" / ".lock").touch()
    silent(tmp_path / "run", seconds)
    assert read_state(tmp_path / "run") == state
    (row,) = collect(tmp_path).rows
    assert row.reason == ("its process (7 on node7) gives no sign of life" if state == "killed" else "")


@pytest.mark.parametrize(("seconds", "state"), [(0, "running"), (200, "killed")])
def test_without_a_lock_the_heartbeat_counts(tmp_path: Path, seconds: int, state: str):
    job(tmp_path / "run", "running")
    silent(tmp_path / "run", seconds)
    assert read_state(tmp_path / "run") == state


def test_a_status_of_before_has_no_machine(tmp_path: Path):
    job(tmp_path / "run", "running")
    path = tmp_path / "run" / "status.json"
    path.write_text(
        json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name != "machine"})
    )
    assert read_state(tmp_path / "run") == "running"
    silent(tmp_path / "run", 200)
    assert read_state(tmp_path / "run") == "killed"


def test_a_heartbeat_renews_the_time_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(liveness, "BEAT", 0.01)
    job(tmp_path / "run", "running")
    silent(tmp_path / "run", 10_000)
    with heartbeat(tmp_path / "run"):
        limit = time.monotonic() + 60
        while liveness.silence(tmp_path / "run") > 1_000 and time.monotonic() < limit:
            time.sleep(0.01)
    assert liveness.silence(tmp_path / "run") < 1_000
    silent(tmp_path / "run", 10_000)
    time.sleep(0.05)
    assert liveness.silence(tmp_path / "run") > 1_000


def test_a_heartbeat_survives_a_folder_that_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(liveness, "BEAT", 0.001)
    with heartbeat(tmp_path / "nowhere"):
        time.sleep(0.02)


def test_a_folder_of_a_run_elsewhere_is_taken(tmp_path: Path):
    job(tmp_path / "run", "running", machine=ELSEWHERE, host="node7")
    with pytest.raises(ForgeError) as caught:
        check_idle(tmp_path / "run")
    (problem,) = caught.value.problems
    assert problem.message == f"another run is writing to `{tmp_path / 'run'}`, on `node7`"
    silent(tmp_path / "run", 200)
    check_idle(tmp_path / "run")
    check_idle(tmp_path / "nowhere")


def test_a_killed_process_lets_go(tmp_path: Path):
    job(tmp_path / "run", "running")
    code = "import sys, time\nfrom pathlib import Path\nfrom modelforge.runs.liveness import claimed\n"
    code += "with claimed(Path(sys.argv[1])):\n    print('claimed', flush=True)\n    time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == "claimed\n"
        assert read_state(tmp_path / "run") == "running"
        with pytest.raises(ForgeError, match="another run is writing to"), claimed(tmp_path / "run"):
            pass
        process.send_signal(signal.SIGKILL)
    assert read_state(tmp_path / "run") == "killed"
    with claimed(tmp_path / "run"):
        assert read_state(tmp_path / "run") == "running"
