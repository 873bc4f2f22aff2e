"""A run that is killed at a random moment and resumed leaves what an undisturbed one does, to the bit.

`pytest tests/train/test_kill.py -m slow --kills 30` kills thirty runs.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from tests.train.runs import DROPOUT, ROOT, assert_equal, last, resuming

SETTINGS = ("model=mlp", "data=digits", "logger=csv", *DROPOUT, "trainer.max_epochs=12")
KINDS = (
    ("scheduler=plateau", "scheduler.patience=0"),
    ("checkpoint.every_n_steps=2", "trainer.accumulate_grad_batches=2", "trainer.check_val_every_n_epoch=3"),
    ("checkpoint.every_n_steps=1", "+trainer.val_check_interval=0.5", "data.num_workers=2"),
)
FORKS = """
import json, os, runpy, sys
import modelforge.train.fit
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = json.loads(line)
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as exit:
            os._exit(exit.code or 0)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""Runs train.py in one process after another that need not import torch first: each leads a process group."""


class Runs:
    """Processes of train.py, one after another."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self.requests = requests
        self.answers = answers

    def start(self, folder: Path, *overrides: str) -> int:
        """Starts a run; gives its process."""
        command = [str(ROOT / "train.py"), *SETTINGS, *overrides, f"hydra.run.dir={folder}"]
        print(json.dumps(command), file=self.requests, flush=True)
        return int(self.answers.readline())

    def finish(self) -> int:
        """Waits for the end of the run; gives its exit status."""
        return int(self.answers.readline())

    def whole(self, folder: Path, *overrides: str) -> float:
        """Seconds from the model of an undisturbed run to its end."""
        begin = built(self.start(folder, *overrides), folder)
        assert self.finish() == 0
        return time.monotonic() - begin

    def is_killed(self, seconds: float, folder: Path, *overrides: str) -> bool:
        """Whether SIGKILL met a run, that many seconds after it had built its model."""
        (folder / "ledger.json").unlink(missing_ok=True)
        process = self.start(folder, *overrides)
        time.sleep(max(0.0, built(process, folder) + seconds - time.monotonic()))
        with suppress(ProcessLookupError):  # it was faster
            os.killpg(process, signal.SIGKILL)
        return self.finish() == -signal.SIGKILL


def built(process: int, folder: Path) -> float:
    """The time at which a run has built its model, or has ended before."""
    with suppress(ProcessLookupError):
        while not (folder / "ledger.json").exists():
            os.kill(process, 0)
            time.sleep(0.002)
    return time.monotonic()


def standing(folder: Path) -> Iterator[str]:
    """Where a killed run stands, for the report of this test."""
    curve = folder / "metrics.csv"
    yield f"{len(curve.read_text().splitlines()) - 1 if curve.exists() else 0} lines in metrics.csv"
    yield "last.ckpt" if last(folder).exists() else "no checkpoint"


@pytest.fixture
def num_kills(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--kills", 3))


@pytest.fixture
def runs() -> Iterator[Runs]:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-c", FORKS]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=variables) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Runs(process.stdin, process.stdout)


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path, num_kills: int, runs: Runs):
    """Some are resumed in their folder, some in a new one, and some are killed once more before they are."""
    chance = random.Random()
    undisturbed = [tmp_path / f"whole{index}" for index in range(len(KINDS))]
    seconds = [runs.whole(folder, *kind) for folder, kind in zip(undisturbed, KINDS, strict=True)]
    met = trial = 0
    while met < num_kills:
        folder, kind, times = tmp_path / f"run{trial}", trial % len(KINDS), 1 + (trial % 4 == 3)
        while times:
            moment = chance.uniform(0, seconds[kind])
            if not runs.is_killed(moment, folder, *KINDS[kind], *resuming(folder)):
                break  # it had ended
            met, times = met + 1, times - 1
            print(f"kill {met}: kind {kind}, after {moment:.3f} of {seconds[kind]:.3f} s:", *standing(folder), sep="  ")
        if not times:
            target = folder if trial % 2 else tmp_path / f"next{trial}"
            runs.start(target, *KINDS[kind], *resuming(folder))
            assert runs.finish() == 0
            assert_equal(undisturbed[kind], target)
            print("  resumed, and equal to the bit")
        trial += 1
