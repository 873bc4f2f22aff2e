"""Runs of train.py in a process of their own, and what they leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from modelforge.config import compose
from modelforge.train.job import execute

ROOT = Path(__file__).parents[2]


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "last.ckpt"


def child(folder: Path, *overrides: str, before: str = "", **surroundings: Any) -> subprocess.CompletedProcess[str]:
    """train.py in a process of its own."""
    settings = ("model=mlp", "data=digits", "trainer.max_epochs=2", "logger=csv", f"hydra.run.dir={folder}")
    code = f"import runpy, sys\nsys.argv = sys.argv[1:]\n{before}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(ROOT / "train.py"), *settings, *overrides]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **surroundings.pop("env", {})}
    return subprocess.run(command, text=True, env=variables, cwd=folder.parent, check=False, **surroundings)


def trained(folder: Path, *overrides: str) -> Path:
    """The folder of a finished run of two epochs, trained in this process."""
    every = ("trainer.max_epochs=2", "logger=csv", "trainer.enable_progress_bar=false", *overrides)
    result = execute(lambda: compose(ROOT / "conf", list(every)), folder, every, show_plan=False)
    assert result.exit_code == 0, result.status.error
    return folder
