"""A folder of jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.jobs import job, silent


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """One job in each state a job can be in."""
    root = tmp_path / "sweep"

    def swept(gain: str) -> list[str]:
        return ["model=lstm", f"init.gain={gain}"]

    job(root / "0,gain=1", overrides=swept("1"), metrics={"val/accuracy": 0.75, "test/accuracy": 0.5})
    job(root / "1,gain=2", overrides=swept("2"), metrics={"val/accuracy": 0.875, "test/accuracy": 0.625})
    job(root / "2,gain=9", "diverged", swept("9"), error=[{"message": "training diverged at step 3: layer `rnn`"}])
    job(root / "3,gain=x", "failed", swept("x"), error=[{"message": "no number"}, {"message": "second\nline"}])
    job(root / "4,gain=3", "interrupted", swept("3"))
    job(root / "5,gain=4", "running", swept("4"), seconds=None)
    job(root / "6,gain=5", "running", swept("5"), pid=2**22 + 1, seconds=None)
    silent(root / "6,gain=5", 200)
    (root / "7,gain=6").mkdir()
    (root / "8,gain=7").mkdir()
    (root / "8,gain=7" / "status.json").write_text('{"state": "fin')
    job(root / "10,gain=8", overrides=swept("8"), metrics={"val/accuracy": 0.25})
    (root / ".hidden").mkdir()
    (root / "multirun.yaml").write_text("")
    return root
