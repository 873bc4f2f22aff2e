"""Plans of small models."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelforge as mf
from tests.review.trees import FILES


@pytest.fixture
def plan() -> Callable[..., mf.Plan]:
    """A plan of `layers` on a vector of 8."""

    def make(init: Any = "orthogonal", shape: tuple[int, ...] = (8,), seed: int = 0, **layers: Any) -> mf.Plan:
        return mf.plan(mf.parse({"input": {"shape": list(shape)}, "layers": layers}, init=init, seed=seed))

    return make


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two equal config folders, `old` and `conf`, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for folder in ("old", "conf"):
        for name, text in FILES.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def git(trees: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Git in a repository of these folders with one commit."""
    return repository(trees, monkeypatch)


def repository(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Git in a new repository with one commit of all that is there."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    who = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")

    def run(*arguments: str) -> str:
        done = subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True, cwd=root)
        return done.stdout.strip()

    run("init", "--quiet", "--initial-branch=main")
    run("add", ".")
    run("commit", "--quiet", "--message=one")
    return run
