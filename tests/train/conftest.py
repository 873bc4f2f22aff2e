"""Runs of the shipped configs in a temporary folder, small enough to take a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelforge.config.compose import Config, compose
from modelforge.config.composition import Library
from modelforge.train.job import Result, execute
from tests.train.tables import FLOWERS

CONF = Path(__file__).parents[2] / "conf"
LIBRARY = Library()
"""What these configs have in common is composed once."""
SMALL = ("trainer.max_epochs=2", "logger=csv", "trainer.enable_progress_bar=false")


@pytest.fixture
def config() -> Callable[..., Config]:
    """Composes the shipped configs."""
    return lambda *overrides: compose(CONF, list(overrides), library=LIBRARY)


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Result]:
    """Runs one job of two epochs; `folder` is below the test's own."""

    def train(*overrides: str, folder: str = "run") -> Result:
        every = [*SMALL, *overrides]
        return execute(lambda: compose(CONF, every, library=LIBRARY), tmp_path / folder, tuple(every), show_plan=False)

    return train


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of one test, with a small table in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.csv").write_text(FLOWERS)
    return tmp_path


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short text in the working directory of one test."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "book.txt"
    path.write_text("Æther and æther again.\n" * 40, encoding="utf-8")
    return path
