"""The last and the best checkpoint, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from modelforge.runs.status import read_state
from modelforge.train import checkpoints

ROOT = Path(__file__).parents[2]


def last(folder: Path) -> Path:
    return folder / "checkpoints" / "last.ckpt"


def test_no_epoch_is_lost_when_the_best_one_is_tested(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checkpoints, "_is_better", lambda value, best, way: best is None)
    train("trainer.max_epochs=3")
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2", "3"]


def test_last_is_last(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever the metric: it is written after an epoch that is no better, too."""
    monkeypatch.setattr(checkpoints, "_is_better", lambda value, best, way: best is None)
    train("trainer.max_epochs=3")
    steps = [
        torch.load(path, weights_only=True)["global_step"] for path in sorted(last(tmp_path / "run").parent.iterdir())
    ]
    assert steps == [20, 60]


def test_a_best_epoch_that_is_lost_is_told(train, tmp_path: Path, capsys):
    train()
    moved = last(tmp_path / "run").rename(tmp_path / "moved.ckpt")
    state = torch.load(moved, weights_only=True)
    state["callbacks"]["Checkpoints"]["best_step"] = 20  # an epoch before the last one
    torch.save(state, moved)
    capsys.readouterr()
    train(f"ckpt={moved}", "trainer.max_epochs=3", folder="next")
    assert capsys.readouterr().out.startswith(
        f"warning[MW210]: the best epoch so far is not in `{tmp_path / 'best.ckpt'}`\n"
        f"  --> override ckpt={moved}\n"
        "   = help: best.ckpt is chosen among the epochs from here on\n"
    )


def child(folder: Path, *overrides: str, before: str = "", **surroundings: Any) -> subprocess.CompletedProcess[str]:
    """train.py in a process of its own."""
    settings = ("model=mlp", "data=digits", "trainer.max_epochs=2", "logger=csv", f"hydra.run.dir={folder}")
    code = f"import runpy, sys\nsys.argv = sys.argv[1:]\n{before}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, str(ROOT / "train.py"), *settings, *overrides]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **surroundings.pop("env", {})}
    return subprocess.run(command, text=True, env=variables, cwd=folder.parent, check=False, **surroundings)


@pytest.mark.slow
def test_a_disk_that_is_full_leaves_no_half_file(tmp_path: Path):
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"
    done = child(tmp_path / "run", before=full, capture_output=True)
    assert (done.returncode, read_state(tmp_path / "run")) == (1, "failed")
    assert done.stderr == (
        f"error[MF058]: `{tmp_path}/run/checkpoints/best.ckpt` cannot be written: file too large\n"
        "  --> hydra.run.dir\n"
        "   = help: make room, or choose another folder; a run goes on with `ckpt=.../checkpoints/last.ckpt`\n"
    )
    assert [*(tmp_path / "run" / "checkpoints").iterdir()] == []
