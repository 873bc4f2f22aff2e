"""A small tree of configs, and a way to write others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest


@pytest.fixture
def conf() -> Path:
    """The tree beside this file."""
    return Path(__file__).parent / "conf"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], Path]:
    """Writes files below `conf`, in a fresh current directory."""
    monkeypatch.chdir(tmp_path)

    def write_files(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = Path("conf") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return Path("conf")

    return write_files
