"""The last and the best checkpoint, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The checkpoints that are written, each with its step."""
    written: list[tuple[str, int]] = []
    original = checkpoints.AtomicIO.save_checkpoint

    def save(self: Any, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        written.append((Path(path).name, checkpoint["global_step"]))
        original(self, checkpoint, path, storage_options)

    monkeypatch.setattr(checkpoints.AtomicIO, "save_checkpoint", save)
    return written


INTERVALS = [
    (("checkpoint.every_n_steps=8",), [8, 16, 20, 28, 36, 40]),
    (("checkpoint.every_n_steps=1000",), [20, 40]),
    # Seven steps of three batches an epoch: not before the optimizer's step, and not twice after the last.
    (("checkpoint.every_n_steps=3", "trainer.accumulate_grad_batches=3"), [3, 6, 7, 10, 13, 14]),
    # Before a validation it is not written: one batch later.
    (("checkpoint.every_n_steps=10", "+trainer.val_check_interval=0.5"), [11, 20, 31, 40]),
]


@pytest.mark.parametrize(("settings", "steps"), INTERVALS)
def test_last_within_an_epoch(train, saved, settings: tuple[str, ...], steps: list[int]):
    train(*settings)
    assert [step for name, step in saved if name == "last.ckpt"] == steps


def test_without_an_interval_last_is_written_between_epochs(train, saved):
    train()
    assert [step for name, step in saved if name == "last.ckpt"] == [20, 40]


def test_a_best_epoch_that_is_lost_is_a_warning(train, tmp_path: Path, capsys):
    train()
    moved = last(tmp_path / "run").rename(tmp_path / "moved.ckpt")
    state = torch.load(moved, weights_only=True)
    state["callbacks"]["Checkpoints"]["best_step"] = 20  # an epoch before the last one
    torch.save(state, moved)
    capsys.readouterr()
    train(f"ckpt={moved}", "trainer.max_epochs=3", folder="next")
    assert capsys.readouterr().out.startswith(
        f"warning[MW210]: `{tmp_path / 'best.ckpt'}` does not hold the best epoch so far, whose weights are lost\n"
        f"  --> override ckpt={moved}\n"
        "   = help: best.ckpt will be the best of the epochs from here on\n"
    )


@pytest.mark.slow
def test_a_disk_that_is_full_leaves_no_half_file(tmp_path: Path):
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"
    done = child(tmp_path / "run", before=full, capture_output=True)
    assert (done.returncode, read_state(tmp_path / "run")) == (1, "failed")
    assert done.stderr == (
        f"error[MF058]: `{tmp_path}/run/checkpoints/best.ckpt` cannot be written: file too large\n"
        f"  --> override hydra.run.dir={tmp_path}/run\n"
        "   = help: make room, or choose another folder; a run is resumed with `ckpt=.../checkpoints/last.ckpt`\n"
    )
    assert [*(tmp_path / "run" / "checkpoints").iterdir()] == []
