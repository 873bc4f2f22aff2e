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


def test_a_wrong_config(text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert "has no argument `lrr`" in text("tune", "lr", "+optimizer.lrr=1", status=1)
    assert "the learning rates must rise" in text("tune", "lr", "--min", "2", status=1)
