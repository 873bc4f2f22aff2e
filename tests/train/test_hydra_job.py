"""`run`, which `train.py` hands to Hydra, under another sweeper than ours; others are tests of sweeps and runs."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from tests.train.runs import ROOT


def test_jobs_of_hydras_own_sweeper_are_composed_at_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    settings = ("model=mlp", "trainer.max_epochs=1", "+trainer.limit_train_batches=2", "logger=none")
    words = ("hydra/sweeper=basic", "optimizer.lr=0.01,1e30", f"hydra.sweep.dir={tmp_path / 'sweep'}")
    monkeypatch.setattr(sys, "argv", ["train.py", "-m", *settings, *words])
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    found = {path.parent.name[0]: json.loads(path.read_text()) for path in tmp_path.rglob("status.json")}
    assert [found["0"]["state"], found["1"]["state"]] == ["finished", "diverged"]
    assert found["0"]["job"] is None
    out = capsys.readouterr().out
    assert "\n[1] model=mlp" in out
    assert not (tmp_path / "sweep/sweep.json").exists()
    assert len(json.loads((tmp_path / "sweep/jobs.json").read_text())) == 2
