"""A small tree of configs, and a way to write others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from modelforge.core.errors import ForgeError


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


@pytest.fixture
def fails() -> Callable[[Callable[[], object], str], None]:
    """Asserts that a call raises a `ForgeError` with exactly this text."""

    def check(call: Callable[[], object], text: str) -> None:
        with pytest.raises(ForgeError) as caught:
            call()
        assert str(caught.value) == dedent(text).strip("\n")

    return check
