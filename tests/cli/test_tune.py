"""tune: an override to begin with, and no change of any file."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_learning_rate(data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    found = data("tune", "lr", "--steps", "40", "--min", "1e-4", "--curve", "curve.csv")
    assert found["override"] == f"optimizer.lr={found['lr']:.2g}"
    lines = Path("curve.csv").read_text().splitlines()
    assert lines[0] == "lr,loss"
    assert [float(line.split(",")[0]) for line in lines[1:]] == found["rates"]
    assert [path.name for path in tmp_path.iterdir()] == ["curve.csv"]


def test_what_is_shown(text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    shown = text("tune", "lr", "--steps", "40", "--min", "1e-4")
    assert "loss, smoothed" in shown
    assert "the loss falls most steeply at: optimizer.lr=" in shown
    shown = text("tune", "batch_size", "data.batch_size=2")
    assert "data.batch_size=1257  (all examples at once; the training has 1,257 examples)" in shown
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [("--curve", "x.csv"), ("--min", "1e-5"), ("--max", "1"), ("--steps", "50")])
def test_a_batch_size_has_no_rates(run, option: tuple[str, str]):
    assert "are for `tune lr`" in run("tune", "batch_size", *option, status=2).stderr


def test_a_file_that_cannot_be_written_is_said_before_the_test(text, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("modelforge.cli.tune.find_rate", lambda *_, **__: pytest.fail("tested"))
    shown = text("tune", "lr", "--curve", "nowhere/x.csv", status=1)
    assert "`nowhere/x.csv` cannot be written: there is no folder `nowhere`" in shown
    assert "--curve" in shown


def test_a_wrong_config(text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert "has no argument `lrr`" in text("tune", "lr", "+optimizer.lrr=1", status=1)
    assert "the learning rates must rise" in text("tune", "lr", "--min", "2", status=1)
