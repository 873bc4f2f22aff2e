"""A run offline: what its file holds of metrics, hyperparameters and artifacts, and that nothing leaves the machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.train.runs import last

wandb = pytest.importorskip("wandb", reason="the extra `wandb`")
BLOCK = 32768


def records(path: Path) -> Iterator[Any]:
    """The records of a `.wandb` file: a log as LevelDB writes it, in which a record may go over several blocks."""
    from wandb.proto import wandb_internal_pb2

    content, at, whole = path.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while at + 7 <= len(content):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        whole += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield wandb_internal_pb2.Record.FromString(whole)
            whole = b""


class Read:
    """An offline run, read back."""

    def __init__(self, folder: Path) -> None:
        (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
        self.records = list(records(path))
        self.rows = [
            {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for record in self.records
            if record.WhichOneof("record_type") == "history"
        ]

    def series(self, name: str) -> dict[int, float]:
        return {row["trainer/global_step"]: row[name] for row in self.rows if name in row}

    def config(self) -> dict[str, Any]:
        updates = [record.run.config.update for record in self.records if record.HasField("run")]
        updates += [record.config.update for record in self.records if record.HasField("config")]
        items = [item for update in updates for item in update]
        return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}

    def files(self) -> set[str]:
        artifacts = [
            record.request.log_artifact.artifact if record.HasField("request") else record.artifact
            for record in self.records
        ]
        return {entry.path for artifact in artifacts for entry in artifact.manifest.contents}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Any connection but to this machine fails."""
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise AssertionError(f"a connection to {address}")
        return original(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "wandb"))


SETTINGS = ("logger=[csv,wandb]", "trainer.log_every_n_steps=10", "tags=[first]")


def epochs(folder: Path) -> dict[str, Any]:
    lines = (folder / "metrics.csv").read_text().splitlines()
    return dict(zip(lines[0].split(","), lines[1].split(","), strict=True))


@pytest.mark.slow
def test_metrics_hyperparameters_and_artifacts_are_there(train, tmp_path: Path):
    assert train(*SETTINGS).exit_code == 0
    folder = tmp_path / "run"
    read = Read(folder)
    values = yaml.safe_load((folder / "config.yaml").read_text())
    assert list(read.series("step/loss")) == [9, 19, 29, 39]
    assert list(read.series("val/loss")) == [19, 39]
    assert list(read.series("test/accuracy")) == [40]
    assert read.series("val/loss")[19] == pytest.approx(float(epochs(folder)["val/loss"]), rel=1e-6)
    config = read.config()
    assert config["optimizer.lr"] == values["optimizer"]["lr"]
    assert config["model.layers.hidden1.out_features"] == 128
    assert config["data.input.shape"] == "[1, 8, 8]"
    assert read.files() == {"config.yaml", "plan.json", "ledger.json", "preprocessing.json"}
    (run,) = [record.run for record in read.records if record.HasField("run")][:1]
    assert (run.project, run.display_name, list(run.tags)) == ("modelforge", f"{tmp_path.name}/run", ["first"])


@pytest.mark.slow
def test_two_jobs_of_a_process_are_two_runs_and_one_that_goes_on_has_the_whole_curve(train, tmp_path: Path):
    train(*SETTINGS, "trainer.max_epochs=1", folder="half")
    train(*SETTINGS, f"ckpt={last(tmp_path / 'half')}", folder="new")
    assert list(Read(tmp_path / "half").series("val/loss")) == [19]
    read = Read(tmp_path / "new")
    assert list(read.series("val/loss")) == [19, 39]
    assert list(read.series("step/loss")) == [9, 19, 29, 39]
