"""Curves of runs, as far as they have come."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.results.curves import last_epoch, read_curve

LINES = "epoch,step,train/loss,val/loss\n0,9,2.0,1.5\n1,19,1.0,nan\n2,29,0.5,0.25\n3,30,,\n"
"""Three epochs, and the line of the test, whose epoch would be the next one."""


def test_a_curve(tmp_path: Path):
    (tmp_path / "metrics.csv").write_text(LINES)
    assert read_curve(tmp_path, "val/loss") == [(1.0, 1.5), (3.0, 0.25)]
    assert read_curve(tmp_path, "train/loss", most=2) == [(1.0, 2.0), (3.0, 0.5)]
    assert read_curve(tmp_path, "val/accuracy") == []


def test_the_last_epoch_is_at_the_end_of_the_file(tmp_path: Path):
    (tmp_path / "metrics.csv").write_text(LINES)
    assert last_epoch(tmp_path) == 3
    (tmp_path / "metrics.csv").write_text(LINES.splitlines()[0] + "\n0,9,2.0,1.5\n1,14,,1.25\n")
    assert last_epoch(tmp_path) == 1, "a validation within an epoch"
    many = "".join(f"{epoch},{epoch},0.5,0.5\n" for epoch in range(5000))
    (tmp_path / "metrics.csv").write_text(LINES.splitlines()[0] + "\n" + many)
    assert last_epoch(tmp_path) == 5000


@pytest.mark.parametrize("text", [None, "", "epoch\n", "a,b\n1,2\n", "epoch,step\n\xff"])
def test_a_file_that_says_nothing(tmp_path: Path, text: str | None):
    if text is not None:
        (tmp_path / "metrics.csv").write_text(text, encoding="latin-1")
    assert last_epoch(tmp_path) is None
    assert read_curve(tmp_path, "val/loss") == []
