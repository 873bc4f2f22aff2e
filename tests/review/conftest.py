"""Plans of small models."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelforge as mf


@pytest.fixture
def plan() -> Callable[..., mf.Plan]:
    """A plan of `layers` on a vector of 8."""

    def make(init: Any = "orthogonal", shape: tuple[int, ...] = (8,), seed: int = 0, **layers: Any) -> mf.Plan:
        return mf.plan(mf.parse({"input": {"shape": list(shape)}, "layers": layers}, init=init, seed=seed))

    return make


FILES = {
    "config.yaml": "defaults: [_self_, model: mlp, init: xavier, optional extra: null]\nseed: 0\n",
    "model/mlp.yaml": "input: {shape: [8]}\nlayers:\n  hidden: {type: Linear, out_features: 4}\n",
    "model/deep.yaml": "defaults: [mlp]\nlayers:\n  more: {type: Linear, out_features: 2}\n",
    "init/xavier.yaml": "scheme: xavier\ngain: 1.0\n",
    "init/zeros.yaml": "scheme: zeros\n",
    "extra/wide.yaml": "# @package _global_\nmodel: {layers: {hidden: {out_features: 16}}}\n",
}


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
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    who = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")

    def run(*arguments: str) -> str:
        done = subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True, cwd=trees)
        return done.stdout.strip()

    run("init", "--quiet", "--initial-branch=main")
    run("add", ".")
    run("commit", "--quiet", "--message=one")
    return run
