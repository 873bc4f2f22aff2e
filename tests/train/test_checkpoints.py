"""The last and the best checkpoint, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modelforge.runs.status import read_state
from modelforge.train import checkpoints
from tests.train.runs import child, last


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


def test_a_best_epoch_that_is_lost_is_a_warning(train, tmp_path: Path, capsys):
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


@pytest.mark.slow
def test_a_disk_that_is_full_leaves_no_half_file(tmp_path: Path):
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"
    done = child(tmp_path / "run", before=full, capture_output=True)
    assert (done.returncode, read_state(tmp_path / "run")) == (1, "failed")
    assert done.stderr == (
        f"error[MF058]: `{tmp_path}/run/checkpoints/best.ckpt` cannot be written: file too large\n"
        f"  --> override hydra.run.dir={tmp_path}/run\n"
        "   = help: make room, or choose another folder; a run goes on with `ckpt=.../checkpoints/last.ckpt`\n"
    )
    assert [*(tmp_path / "run" / "checkpoints").iterdir()] == []
