"""A sweep whose parent or jobs are killed at random moments ends, resumed, as one that nobody disturbed, to the bit.

`pytest tests/sweeps/test_kill.py -m thorough --kills 50 -s` kills fifty times with each launcher, and prints the
seed of the moments: `--kill-seed` draws the same again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psutil
import pytest

from modelforge.core.files import LEFTOVER
from modelforge.runs.jobs import read_job, read_sweep_file
from modelforge.runs.status import DONE, read_state
from tests.train.runs import DROPOUT, ROOT, assert_equal
from tests.train.test_kill import FORKS

SWEEP = ("model=mlp", "data=digits", "logger=csv", *DROPOUT, "trainer.max_epochs=4", "init=orthogonal",
    "init.gain=1,1.5", "optimizer.lr=0.002,1e30", "checkpoint.every_n_steps=2")  # fmt: skip
"""Four jobs, of which two diverge."""
PATIENCE = 120.0
"""Seconds in which jobs without a parent end."""
LAUNCHERS = {
    "basic": (),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
    "submitit_local": ("hydra/launcher=submitit_local", "hydra.launcher.timeout_min=10"),
}
PLUGINS = {"joblib": "hydra_plugins.hydra_joblib_launcher", "submitit_local": "hydra_plugins.hydra_submitit_launcher"}


class Parents:
    """Processes of `train.py -m`, one after another."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self.requests = requests
        self.answers = answers

    def start(self, *arguments: str) -> psutil.Process | None:
        """Starts a multirun; None where it was over at once."""
        print(json.dumps([str(ROOT / "train.py"), *arguments]), file=self.requests, flush=True)
        process = int(self.answers.readline())
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(process)
        return None

    def finish(self) -> int:
        """Waits for its end; gives the exit status."""
        return int(self.answers.readline())


@pytest.fixture
def parents() -> Iterator[Parents]:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", FORKS], stdin=pipe, stdout=pipe, text=True, env=variables) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Parents(process.stdin, process.stdout)


@contextmanager
def reading(folder: Path) -> Generator[list[str]]:
    """Reads all files of a sweep again and again; gives what could not be read."""
    broken: list[str] = []
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.005):
            for path in (*folder.glob("sweep.json"), *folder.glob("*/*.json")):
                try:
                    json.loads(path.read_text())
                except FileNotFoundError:
                    continue
                except ValueError as error:
                    broken.append(f"{path}: {error}")

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield broken
    finally:
        over.set()
        thread.join()


def results(folder: Path) -> dict[int, tuple[str, int]]:
    """Of each job with a result: its state, and when it was written."""
    found = {}
    for job in read_sweep_file(folder).jobs:
        run = folder / job.folder
        if (state := read_state(run)) in DONE:
            found[job.number] = state, (run / "status.json").stat().st_mtime_ns
    return found


def wait_for_a_job(process: psutil.Process | None, folder: Path) -> None:
    """Waits until a job of a multirun has begun, or the multirun is over: imports take longer than jobs."""
    with suppress(psutil.NoSuchProcess):
        while process is not None and process.status() != psutil.STATUS_ZOMBIE:
            if any(read_state(path.parent) == "running" for path in folder.glob("*/status.json")):
                return
            time.sleep(0.01)


def kill(process: psutil.Process, chance: random.Random) -> str:
    """Kills a whole multirun, its first process alone, or one of those that its launcher started."""
    with suppress(psutil.NoSuchProcess):
        children = process.children(recursive=True)
        what = chance.choice(["a job", "the parent", "all"]) if children else "all"
        if what == "a job":
            chance.choice(children).kill()
            return what
        if what == "the parent":
            process.kill()
            _, alive = psutil.wait_procs(
                children, timeout=PATIENCE
            )  # submitit's jobs end by themselves, joblib's at once
            assert not alive
            return what
        for one in (process, *children):
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        return "all"
    return "nothing"


@pytest.mark.thorough
@pytest.mark.parametrize("launcher", [pytest.param("basic"), *(
    pytest.param(name, marks=pytest.mark.thorough) for name in LAUNCHERS if name != "basic"
)])  # fmt: skip
def test_killed_at_random_moments(tmp_path: Path, parents: Parents, pytestconfig: pytest.Config, launcher: str):
    if (plugin := PLUGINS.get(launcher)) and (find_spec("hydra_plugins") is None or find_spec(plugin) is None):
        pytest.skip(f"{launcher} is not installed")
    seed = pytestconfig.getoption("--kill-seed", None) or random.SystemRandom().randrange(2**32)
    print(f"\n--kill-seed {seed}", flush=True)
    chance = random.Random(seed)
    engine = LAUNCHERS[launcher]
    whole = tmp_path / "whole"
    parents.start("-m", *SWEEP, *engine, f"hydra.sweep.dir={whole}")
    began = time.monotonic()  # the first answer waits for imports
    assert parents.finish() == 0
    seconds = time.monotonic() - began
    states = {number: state for number, (state, _) in results(whole).items()}
    assert sorted(states.values()) == ["diverged", "diverged", "finished", "finished"]
    met = trial = 0
    while met < int(pytestconfig.getoption("--kills", 3)):
        folder, command = (
            tmp_path / f"sweep{trial}",
            ("-m", *SWEEP, *engine, f"hydra.sweep.dir={tmp_path}/sweep{trial}"),
        )
        trial += 1
        done: dict[int, tuple[str, int]] = {}
        for _ in range(1 + trial % 3):
            with reading(folder) as broken:
                process = parents.start(*command)
                if chance.random() < 0.5:
                    wait_for_a_job(process, folder)
                moment = chance.uniform(0, seconds)
                time.sleep(moment)
                what = kill(process, chance) if process else "nothing"
                parents.finish()
            assert broken == []
            met += what != "nothing"
            if not (folder / "sweep.json").exists():
                print(f"kill {met} of {what} after {moment:.2f} s: before the sweep began", flush=True)
                break
            after = results(folder)
            print(
                f"kill {met} of {what} after {moment:.2f} of {seconds:.2f} s: {len(after)} jobs with a result",
                flush=True,
            )
            assert done.items() <= after.items(), "a job with a result is run again"
            done, command = after, (f"sweep.resume={folder}", *engine)
        if (folder / "sweep.json").exists():
            parents.start(f"sweep.resume={folder}", *engine)
            assert parents.finish() == 0
            check_equal(whole, folder, done, states)


def check_equal(whole: Path, folder: Path, done: dict[int, tuple[str, int]], states: dict[int, str]) -> None:
    """Compares a sweep that was resumed with one that was not disturbed."""
    after = results(folder)
    assert done.items() <= after.items(), "a job with a result is run again"
    assert {number: state for number, (state, _) in after.items()} == states
    assert not [path for path in folder.rglob(".*") if LEFTOVER.fullmatch(path.name)]
    for job in read_sweep_file(folder).jobs:
        assert read_job(folder, job.number).config == read_job(whole, job.number).config
        first, second = (json.loads((root / job.folder / "status.json").read_text()) for root in (whole, folder))
        assert first["job"] == second["job"]
        assert first["metrics"] == second["metrics"]
        assert [one["message"] for one in first["error"]] == [one["message"] for one in second["error"]]
        if states[job.number] == "finished":
            assert_equal(whole / job.folder, folder / job.folder)
