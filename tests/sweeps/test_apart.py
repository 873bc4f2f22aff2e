"""Jobs of one process leave nothing to the next: the same numbers in any order, and no setting changed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import psutil
import torch

from modelforge.runs.jobs import read_sweep_file
from modelforge.train.callbacks.registry import CALLBACKS
from modelforge.train.optimizers.optimizer import optimizers
from tests.sweeps.projects import BRIEF


def surroundings() -> dict[str, Any]:
    return {
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "grad": torch.is_grad_enabled(),
        "filters": list(warnings.filters),
        "callbacks": sorted(CALLBACKS.names()),
        "optimizers": sorted(optimizers()),
        "files": len(psutil.Process().open_files()),
    }


def metrics(root: Path) -> dict[int, Any]:
    jobs = read_sweep_file(root).jobs
    return {job.seed: json.loads((root / job.folder / "status.json").read_text())["metrics"] for job in jobs}


def test_jobs_leave_nothing_to_the_next(command, tmp_path: Path):
    words = ("-m", *BRIEF, "num_threads=1", "+model.layers.dropout.type=Dropout")
    assert command(*words, "seed=1", f"hydra.sweep.dir={tmp_path / 'alone'}") == 0
    before = surroundings()
    assert command(*words, "seed=0,2,1", f"hydra.sweep.dir={tmp_path / 'several'}") == 0
    assert surroundings() == before
    assert metrics(tmp_path / "several")[1] == metrics(tmp_path / "alone")[1]
