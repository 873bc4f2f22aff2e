"""What the jobs of a sweep logged, read back by each tracker's own reader and grouped by sweep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.train.trackers.test_files import hyperparameters
from tests.train.trackers.test_wandb import Read

pytestmark = pytest.mark.slow
JOBS = ("0,seed=0", "1,seed=1")


def test_jobs_are_grouped_by_their_sweep(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("mlflow", "wandb"):
        pytest.importorskip(name, reason=f"the extra `{name}`")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "gains"
    root.mkdir()
    (root / "jobs.json").write_text(json.dumps([["seed=0"], ["seed=1"]]))
    for number, folder in enumerate(JOBS):
        settings = ("logger=[csv,tensorboard,mlflow,wandb]", f"seed={number}", "trainer.max_epochs=1")
        assert train(*settings, folder=f"gains/{folder}").exit_code == 0
    in_mlflow(tmp_path)
    in_wandb(root)
    in_tensorboard(root)


def in_mlflow(folder: Path) -> None:
    """The runs with the tag of the sweep."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("modelforge")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`modelforge.sweep` = 'gains'")
    assert sorted(run.data.tags["modelforge.job"] for run in runs) == ["0", "1"]
    assert {run.data.params["sweep.folder"] for run in runs} == {"gains"}
    assert all(run.data.metrics["val/accuracy"] > 0 for run in runs)


def in_wandb(root: Path) -> None:
    """The group of each run, and its job."""
    for number, name in enumerate(JOBS):
        read = Read(root / name)
        (run,) = [record.run for record in read.records if record.HasField("run")][:1]
        assert (run.run_group, read.config()["sweep.job"]) == ("gains", number)
        assert read.series("val/accuracy")


def in_tensorboard(root: Path) -> None:
    """A run for each job below the folder of the sweep, with its place as hyperparameters."""
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    found = EventMultiplexer().AddRunsFromDirectory(str(root))
    found.Reload()
    assert sorted(name for name in found.Runs() if "wandb" not in name) == [*JOBS]
    for number, name in enumerate(JOBS):
        assert found.Scalars(name, "val/accuracy")[0].value > 0
        values = hyperparameters(found.GetAccumulator(name))
        assert (values["sweep.folder"], values["sweep.job"]) == ("gains", number)
