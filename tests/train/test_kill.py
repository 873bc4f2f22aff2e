"""A run that is killed at a random moment and resumed leaves what an undisturbed one does, to the bit.

`pytest tests/train/test_kill.py -m slow --kills 30` kills thirty runs.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.train.runs import DROPOUT, ROOT, assert_equal, last, resuming

SETTINGS = ("model=mlp", "data=digits", "logger=csv", *DROPOUT, "trainer.max_epochs=20")
KINDS = (
    ("scheduler=plateau", "scheduler.patience=0"),
    ("checkpoint.every_n_steps=2", "+trainer.accumulate_grad_batches=2", "trainer.check_val_every_n_epoch=3"),
    ("checkpoint.every_n_steps=1", "+trainer.val_check_interval=0.5", "data.num_workers=2"),
)
SECONDS = 300.0


def started(folder: Path, *overrides: str) -> subprocess.Popen[bytes]:
    """train.py in a process group of its own, as its workers are killed with it."""
    command = [sys.executable, str(ROOT / "train.py"), *SETTINGS, *overrides, f"hydra.run.dir={folder}"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=variables, start_new_session=True, stdout=subprocess.DEVNULL)


def begun(process: subprocess.Popen[bytes], folder: Path) -> float:
    """The time at which a run has built its model."""
    limit = time.monotonic() + SECONDS
    while not (folder / "ledger.json").exists() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.005)
    return time.monotonic()


def killed_after(seconds: float, folder: Path, *overrides: str) -> bool:
    """Whether SIGKILL met the run, that many seconds after it had built its model."""
    (folder / "ledger.json").unlink(missing_ok=True)
    process = started(folder, *overrides)
    try:
        time.sleep(max(0.0, begun(process, folder) + seconds - time.monotonic()))
    finally:
        with suppress(ProcessLookupError):  # it was faster
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def whole(folder: Path, *overrides: str) -> float:
    """Seconds that a run takes from its model to its end."""
    process = started(folder, *overrides)
    begin = begun(process, folder)
    assert process.wait(SECONDS) == 0
    return time.monotonic() - begin


def standing(folder: Path) -> Iterator[str]:
    """Where a killed run stands, for the report of this test."""
    lines = (folder / "metrics.csv").read_text().splitlines() if (folder / "metrics.csv").exists() else [""]
    yield f"{len(lines) - 1} lines in metrics.csv"
    yield "last.ckpt" if last(folder).exists() else "no checkpoint"


@pytest.fixture
def num_kills(pytestconfig: pytest.Config) -> int:
    return pytestconfig.getoption("--kills")


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path, num_kills: int):
    """Some are resumed in their folder, some in a new one, and some are killed once more before they are."""
    chance = random.Random()
    undisturbed = [tmp_path / f"whole{index}" for index in range(len(KINDS))]
    seconds = [whole(folder, *kind) for folder, kind in zip(undisturbed, KINDS, strict=True)]
    met = trial = 0
    while met < num_kills:
        folder, kind, times = tmp_path / f"run{trial}", trial % len(KINDS), 1 + (trial % 4 == 3)
        while times and killed_after(
            moment := chance.uniform(0, seconds[kind]), folder, *KINDS[kind], *resuming(folder)
        ):
            met, times = met + 1, times - 1
            print(f"kill {met}: kind {kind}, after {moment:.3f} of {seconds[kind]:.3f} s:", *standing(folder), sep="  ")
        if not times:  # else it ended before it could be killed
            target = folder if trial % 2 else tmp_path / f"next{trial}"
            assert started(target, *KINDS[kind], *resuming(folder)).wait(SECONDS) == 0
            assert_equal(undisturbed[kind], target)
            print("  resumed, and equal to the bit")
        trial += 1
