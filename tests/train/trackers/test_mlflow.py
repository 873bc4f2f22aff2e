"""A run in SQLite: metrics, hyperparameters and artifacts, as MLflow's own client reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests.train.runs import last

pytest.importorskip("mlflow", reason="the extra `mlflow`")
pytest.importorskip("sqlalchemy", reason="the extra `mlflow`")
pytest.importorskip("alembic", reason="the extra `mlflow`")

SETTINGS = ("logger=[csv,mlflow]", "trainer.log_every_n_steps=10", "tags=[first]")


def read(folder: Path):
    """The client and its runs, first to last."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("modelforge")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    return client, list(runs)


@pytest.mark.slow
def test_metrics_hyperparameters_and_artifacts_are_there(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = train(*SETTINGS)
    assert result.exit_code == 0
    assert "MLFLOW_TRACKING_URI" not in os.environ  # a run in another folder has its own
    assert train(*SETTINGS, "trainer.max_epochs=3", f"ckpt={last(tmp_path / 'run')}", folder="next").exit_code == 0
    client, (first, second) = read(tmp_path)

    def series(run, name: str) -> list[int]:
        return [one.step for one in client.get_metric_history(run.info.run_id, name)]

    assert first.info.status == second.info.status == "FINISHED"
    assert first.info.run_name == f"{tmp_path.name}/run"
    assert series(first, "step/loss") == [9, 19, 29, 39]
    assert series(first, "val/loss") == [19, 39]
    assert series(second, "val/loss") == [19, 39, 59]  # the whole curve, once
    assert series(second, "step/loss") == [9, 19, 29, 39, 49, 59]
    assert first.data.metrics["test/accuracy"] == pytest.approx(result.status.metrics["test/accuracy"])
    values = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert first.data.params["optimizer.lr"] == str(values["optimizer"]["lr"])
    assert first.data.params["model.layers.hidden1.out_features"] == "128"
    assert first.data.tags["modelforge.first"] == "true"
    files = {item.path for item in client.list_artifacts(first.info.run_id)}
    assert files == {"config.yaml", "plan.json", "ledger.json", "preprocessing.json"}


@pytest.mark.slow
def test_a_run_that_fails_is_marked_so(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert train(*SETTINGS, "logger.mlflow.name=mine", "optimizer.lr=1e30").status.state == "diverged"
    _, (run,) = read(tmp_path)
    assert (run.info.status, run.info.run_name) == ("FAILED", "mine")


@pytest.mark.slow
def test_a_store_that_cannot_be_used_is_a_mistake(train, tmp_path: Path, capsys):
    (tmp_path / "mlflow.db").write_text("no database")
    assert train(*SETTINGS, f"logger.mlflow.tracking_uri=sqlite:///{tmp_path}/mlflow.db").exit_code == 1
    err = capsys.readouterr().err
    assert err.startswith("error[MF051]: MLflow cannot keep this run: (sqlite3.DatabaseError) file is not a database")
    assert "--> override logger.mlflow.tracking_uri=" in err
    assert "Traceback" not in err


def test_names_of_parameters_are_different_and_fit():
    from modelforge.train.trackers.mlflow import _names

    long = "model." + "x" * 300
    assert _names(["freeze.a*", "freeze.a?", long, f"{long}y"]) == [
        "freeze.a_",
        "freeze.a_ 2",
        long[:250],
        f"{long[:248]} 2",
    ]
