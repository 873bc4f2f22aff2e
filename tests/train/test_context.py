"""What a logger may know of its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelforge.results.collect import Membership
from modelforge.train.context import Context

CONFIG = {"optimizer": {"lr": 0.5}, "tags": ["first"]}


def context(folder: Path) -> Context:
    nothing: Any = None
    return Context(nothing, folder, nothing, nothing, CONFIG, nothing, print)


@pytest.mark.parametrize("mark", ["sweep.json", "jobs.json", "multirun.yaml"])
def test_a_job_knows_its_sweep(tmp_path: Path, mark: str):
    (tmp_path / "gains").mkdir()
    (tmp_path / "gains" / mark).touch()
    found = context(tmp_path / "gains" / "7,init.gain=0.5")
    assert found.membership == Membership(tmp_path / "gains", 7)
    assert found.hyperparameters == {
        "optimizer.lr": 0.5, "tags": "['first']", "sweep.folder": "gains", "sweep.job": 7,
    }  # fmt: skip


def test_a_frozen_job_is_of_its_sweep_wherever_its_folder_lies(tmp_path: Path):
    """`hydra.sweep.subdir` may name folders otherwise: the number is that of the job."""
    (tmp_path / "gains" / "trials" / "3,x").mkdir(parents=True)
    (tmp_path / "gains" / "sweep.json").touch()
    (tmp_path / "gains" / "trials" / "3,x" / "status.json").write_text('{"job": {"number": 7, "hash": ""}}')
    assert context(tmp_path / "gains" / "trials" / "3,x").membership == Membership(tmp_path / "gains", 7)
    assert context(tmp_path / "gains" / "trials" / "8,x").membership is None


@pytest.mark.parametrize("name", ["7,init.gain=0.5", "mlp/2026-01-31_12-00-00_1"])
def test_a_run_alone_has_none(tmp_path: Path, name: str):
    assert context(tmp_path / name).membership is None
    assert context(tmp_path / name).hyperparameters == {"optimizer.lr": 0.5, "tags": "['first']"}
