"""The command line, called in this process, in this folder, 80 columns wide."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelforge.cli.app import app

Run = Callable[..., Any]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder whose `conf` the commands find, and a terminal that is the same everywhere."""
    folder = Path(__file__).parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def run(here: Path) -> Run:
    """Calls a command, and checks its exit status."""
    del here

    def call(*arguments: str, status: int = 0) -> Any:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    return call


@pytest.fixture
def text(run: Run) -> Callable[..., str]:
    """What a command prints, without the blanks that fill a table's lines."""

    def call(*arguments: str, status: int = 0) -> str:
        lines = run(*arguments, status=status).output.splitlines()
        return "\n".join(line.rstrip() for line in lines)

    return call


@pytest.fixture
def data(run: Run) -> Callable[..., Any]:
    """What a command prints with `--json`."""

    def call(*arguments: str, status: int = 0) -> Any:
        return json.loads(run(*arguments, "--json", status=status).stdout)

    return call


@pytest.fixture
def repository(tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository of two commits: the second changes the gain of the init group from 1.0 to 1.4."""
    for file in sorted((here / "conf").rglob("*.yaml")):
        copy = tmp_path / file.relative_to(here)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for who in ("AUTHOR", "COMMITTER"):  # so that a commit has the same hash everywhere
        monkeypatch.setenv(f"GIT_{who}_DATE", "2025-01-01T00:00:00Z")
    git("init", "--quiet", "--initial-branch=main")
    git("add", "conf")
    git("commit", "--quiet", "--message=one")
    changed = tmp_path / "conf/init/orthogonal.yaml"
    changed.write_text("# larger\nscheme: orthogonal\ngain: 1.4\n", encoding="utf-8")
    git("commit", "--quiet", "--all", "--message=two")
    return tmp_path


def git(*arguments: str, given: str = "") -> str:
    """What git says in the current directory, as nobody in particular."""
    who = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
    done = subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True, input=given)
    return done.stdout.strip()
