"""Runs of train.py in a process of their own, and what they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from modelforge.config.compose import compose
from modelforge.train.job import execute

ROOT = Path(__file__).parents[2]
DROPOUT = (
    "data.batch_size=128",
    "+model.layers.dropout.type=Dropout",
    "+model.layers.last.type=Linear",
    "+model.layers.last.out_features=10",
)
"""A model with dropout, in large batches."""


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "last.ckpt"


def child(folder: Path, *overrides: str, before: str = "", **surroundings: Any) -> subprocess.CompletedProcess[str]:
    """train.py in a process of its own."""
    settings = ("model=mlp", "data=digits", "trainer.max_epochs=2", "logger=csv", f"hydra.run.dir={folder}")
    code = f"import runpy, sys\nsys.argv = sys.argv[1:]\n{before}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(ROOT / "train.py"), *settings, *overrides]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **surroundings.pop("env", {})}
    return subprocess.run(command, text=True, env=variables, cwd=folder.parent, check=False, **surroundings)


def resuming(folder: Path) -> list[str]:
    return [f"ckpt={last(folder)}"] if last(folder).exists() else []


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for index, items in enumerate(zip(one, other, strict=True)):
            yield from differences(*items, f"{path}.{index}")
    elif not (torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other):
        yield path


def assert_equal(whole: Path, other: Path) -> None:
    """The report, the curves, and all that the checkpoints hold: values, optimizer, scheduler, loops, best score."""
    for name in ("best.ckpt", "last.ckpt"):
        first, second = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (whole, other))
        assert [*differences(first, second, name)] == []
    assert (whole / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    for name in ("test_predictions.csv", "test_worst.csv"):
        assert (whole / name).read_text() == (other / name).read_text()
    first, second = (json.loads((run / "status.json").read_text()) for run in (whole, other))
    assert first["state"] == second["state"] == "finished"
    assert first["metrics"] == second["metrics"]


def trained(folder: Path, *overrides: str) -> Path:
    """The folder of a finished run of two epochs, trained in this process."""
    every = ("trainer.max_epochs=2", "logger=csv", "trainer.enable_progress_bar=false", *overrides)
    result = execute(lambda: compose(ROOT / "conf", list(every)), folder, every, show_plan=False)
    assert result.exit_code == 0, result.status.error
    return folder
