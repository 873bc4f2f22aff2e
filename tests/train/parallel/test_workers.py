"""The processes that the first one starts end when it does, and end it when they fail."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from modelforge.core.errors import ForgeError, Problem
from modelforge.train.parallel import workers as module
from modelforge.train.parallel.launch import Launch
from modelforge.train.parallel.rendezvous import Failure, Rendezvous
from modelforge.train.parallel.workers import Workers, run_workers
from modelforge.train.parallel.world import RunSpec
from tests.train.runs import ROOT

ORDER = RunSpec({}, "nowhere")
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
SETTINGS = ("model=mlp", "data=digits", "logger=csv", "trainer.max_epochs=100000", "trainer.enable_progress_bar=false")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "GRACE", 1.0)


def stand_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Has each further process run some code in place of a training."""
    monkeypatch.setattr(module, "_command", lambda place: [sys.executable, "-c", code])


def lose(workers: Workers) -> None:
    """What the first process meets when another ends."""
    workers.started[1][0].wait()
    raise RuntimeError("Connection closed by peer")


def test_a_process_that_fails_ends_the_first_with_its_last_words(monkeypatch: pytest.MonkeyPatch):
    stand_in(monkeypatch, "import sys; print('free(): invalid pointer', file=sys.stderr); sys.exit(6)")
    with pytest.raises(ForgeError) as caught, run_workers(ORDER, 2) as (_, workers):
        lose(workers)
    (problem,) = caught.value.problems
    assert problem.message == "process 1 of 2 ended with status 6: free(): invalid pointer"


def test_the_first_ends_the_others(monkeypatch: pytest.MonkeyPatch):
    stand_in(monkeypatch, "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)")
    wrong = ForgeError([Problem("MF051", "seed", "wrong")])
    with pytest.raises(ForgeError), run_workers(ORDER, 2) as (_, workers):
        raise wrong
    assert workers.started[1][0].returncode


def test_an_error_of_the_first_alone_stays_as_it_is(monkeypatch: pytest.MonkeyPatch):
    stand_in(monkeypatch, "import time; time.sleep(1000)")
    with pytest.raises(ZeroDivisionError), run_workers(ORDER, 2):
        _ = 1 / 0


@pytest.mark.parametrize("reason", ["", "Traceback: a bug"])
def test_what_another_said_of_its_end(reason: str):
    rendezvous = Rendezvous(Launch(0, 2, 0, 0, "127.0.0.1", 0, "modelforge", hosts_store=True))
    problem = Problem("MF052", "optimizer.lr", "training diverged", "lower it")
    rendezvous.store.set(
        "failed/1",
        json.dumps([[] if reason else [["MF052", "optimizer.lr", problem.message, problem.hint, "value"]], reason]),
    )
    assert [*rendezvous.failures()] == [Failure(1, () if reason else (problem,), reason)]
    with pytest.raises(RuntimeError if reason else ForgeError, match="a bug" if reason else "diverged"):
        Workers(rendezvous).check()


@contextmanager
def running(folder: Path, *overrides: str) -> Generator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A run of two processes in the middle of its training, and the second one."""
    command = [sys.executable, str(ROOT / "train.py"), *SETTINGS, *DDP, f"hydra.run.dir={folder}", *overrides]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        while process.poll() is None and not (folder / "checkpoints" / "last.ckpt").exists():
            time.sleep(0.1)
        (other,) = psutil.Process(process.pid).children()
        yield process, other
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_killed_process_ends_a_run(tmp_path: Path):
    with running(tmp_path / "run") as (process, other):
        other.kill()
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 1
    assert errors.startswith("error[MF055]: process 1 of 2 was killed by SIGKILL\n")
    assert "Traceback" not in errors
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"


@pytest.mark.slow
def test_an_interrupted_run_stops_where_it_can_be_resumed(tmp_path: Path):
    with running(tmp_path / "run") as (process, other):
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, "")
        other.wait(10)
    assert "resume with: " in out
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "interrupted"


@pytest.mark.slow
def test_the_others_end_with_a_killed_first_process(tmp_path: Path):
    with running(tmp_path / "run") as (process, other):
        process.kill()
        other.wait(20)
