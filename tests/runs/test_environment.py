"""environment.json: what the numbers of a run depend on besides its config."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path

import pytest
import torch

from modelforge import __version__
from modelforge.runs import environment
from modelforge.runs.environment import Git, complete, git_state, here, read, write


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    found = here()
    assert found.python == platform.python_version()
    assert found.packages["modelforge"] == __version__
    assert found.packages["torch"] == torch.__version__
    assert {"lightning", "hydra-core", "omegaconf", "pydantic", "numpy", "safetensors"} <= found.packages.keys()
    assert (found.git, found.device, found.data) == (None, None, None)


def test_a_repository(tmp_path: Path):
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) == Git(None, dirty=False)
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / ".gitignore").write_text("runs/\n")
    assert git_state(tmp_path) == Git(None, dirty=True)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "status.json").write_text("{}")
    assert git_state(tmp_path) == git_state(tmp_path / "runs") == Git(commit, dirty=False)
    (tmp_path / "a.py").write_text("a = 2\n")
    assert git_state(tmp_path) == Git(commit, dirty=True)
    git(tmp_path, "checkout", "-q", "a.py")
    (tmp_path / "new.py").write_text("")
    assert git_state(tmp_path) == Git(commit, dirty=True)


def test_a_folder_that_looks_like_a_repository_is_none(tmp_path: Path):
    git(tmp_path, "init", "-q")
    done, fake = tmp_path / "done", tmp_path / "conf"
    for name in ("objects", "refs"):
        (fake / name).mkdir(parents=True)
    (fake / "HEAD").write_text("ref: refs/heads/other\n")
    (fake / "config").write_text(f'[core]\n\tbare = false\n\tworktree = {tmp_path}\n\tfsmonitor = "touch {done}"\n')
    assert git_state(fake) == git_state(tmp_path) == Git(None, dirty=True)
    assert not done.exists()


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


def test_a_git_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment, "TIMEOUT", 0.05)
    assert git_state(tmp_path) is None


def test_it_is_completed_when_the_run_trains(tmp_path: Path):
    write(here(), tmp_path)
    before = read(tmp_path)
    complete(tmp_path, device="cuda:0 (H100)", data="ab12")
    assert read(tmp_path) == {**before, "device": "cuda:0 (H100)", "data": "ab12"}


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_damaged_one_is_empty(tmp_path: Path, text: str):
    (tmp_path / "environment.json").write_text(text, encoding="latin-1")
    assert read(tmp_path) == {}
    assert read(tmp_path / "nowhere") == {}


def test_a_run_of_before_has_none(tmp_path: Path):
    complete(tmp_path, device="cpu")
    assert json.loads((tmp_path / "environment.json").read_text())["device"] == "cpu"
