"""A small folder of configs, and sweeps of a model that trains in a moment."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TRAIN = Path(__file__).parents[2] / "train.py"
SMALL = ("model=mlp", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "+trainer.limit_val_batches=1",
    "logger=none")  # fmt: skip


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs train.py in this process, which has paid for its imports; gives the exit code."""

    def command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [str(TRAIN), *arguments])
        try:
            runpy.run_path(str(TRAIN), run_name="__main__")
        except SystemExit as exit:
            return 0 if exit.code is None else int(exit.code)
        return 0

    return command
