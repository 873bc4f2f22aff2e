"""Two processes on the CPU train as one does: the same initial values, the same curve, the same checkpoints."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import modelforge as mf
from tests.train.runs import last, trained

pytestmark = pytest.mark.slow

TWO = ("trainer.accelerator=cpu", "trainer.devices=2")
DDP, FSDP = ("trainer=ddp", *TWO), ("trainer=fsdp", *TWO)
RESNET = (
    *("model=resnet_small", "data=digits", "init=kaiming_normal", "data.input.shape=[1,8,8]", "data.batch_size=8"),
    *("trainer.max_epochs=1", "trainer.log_every_n_steps=1"),
)
GPT = (
    *("experiment=gpt_nano", "data=text", "data.files=book.txt", "data.sample=0", "data.context=16"),
    *("model.args.width=32", "model.args.depth=2", "model.args.dropout=0", "diagnose=false"),
    *("scheduler=constant", "scheduler.warmup=2", "trainer.log_every_n_steps=1", "+trainer.limit_train_batches=6"),
)
ONE, HALF = ("data.batch_size=8",), ("data.batch_size=4",)
ROUNDING = 1e-5
"""Between losses: float32 sums of thousands of terms in another order are off by 6e-8 times the root of their number, a
few 1e-6; steps add up, and AdamW magnifies what is off in gradients near zero."""


def rows(folder: Path, name: str = "metrics.csv") -> list[dict[str, str]]:
    return [*csv.DictReader((folder / name).read_text().splitlines())]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(last(folder), weights_only=True)["state_dict"]


def digests(folder: Path) -> dict[str, str]:
    """Of the initial values, by parameter."""
    entries = json.loads((folder / "ledger.json").read_text())["parameters"]
    return {entry["path"]: entry["digest"] for entry in entries}


def last_of(folder: Path, name: str) -> float:
    """The last value of a metric."""
    return [float(row[name]) for row in rows(folder) if row[name]][-1]


def losses(folder: Path) -> list[float]:
    """Of each step."""
    return [float(row["loss"]) for row in rows(folder, "steps.csv")]


@pytest.mark.parametrize("strategy", [DDP, FSDP], ids=["ddp", "fsdp"])
def test_a_resnet_is_trained_as_in_one_process_that_accumulates(tmp_path: Path, strategy: tuple[str, ...]):
    """Statistics of BatchNorm are those of each half of a step, as where one process accumulates two batches."""
    one = trained(tmp_path / "one", *RESNET, "trainer.accumulate_grad_batches=2", "+trainer.limit_train_batches=6")
    two = trained(tmp_path / "two", *RESNET, *strategy, "+trainer.limit_train_batches=3")
    assert digests(one) == digests(two)
    assert losses(one) == losses(two)
    # The mean of two halves takes the same sums in both: the weights are equal to the bit.
    first, second = weights(one), weights(two)
    parameters = [f"model.{name}" for name in digests(one)]
    assert all(torch.equal(first[name], second[name]) for name in parameters)


def test_a_gpt_goes_on_from_one_process_to_sharded_ones_to_copies_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """In the middle of its epochs; its optimizer has groups."""
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text("Æther and æther again.\n" * 60, encoding="utf-8")
    whole = trained(tmp_path / "whole", *GPT, *ONE)
    run = trained(tmp_path / "one", *GPT, *ONE, "+trainer.max_steps=3")
    for name, how, steps in (("sharded", (*FSDP, *HALF), 5), ("copies", (*DDP, *HALF), 9), ("back", ONE, 12)):
        run = trained(tmp_path / name, *GPT, *how, f"+trainer.max_steps={steps}", f"ckpt={last(run)}")
        np.testing.assert_allclose(losses(run), losses(whole)[:steps], rtol=ROUNDING)
        assert mf.load_run(run).evaluate().metrics["loss"] == pytest.approx(last_of(run, "test/loss"), rel=ROUNDING)
    assert last_of(run, "val/loss") == pytest.approx(last_of(whole, "val/loss"), rel=ROUNDING)


METRICS = "metrics={area: AUROC, error: CalibrationError}"


@pytest.mark.parametrize("accumulated", [1, 2])
def test_weights_of_classes_count_over_all_processes(tmp_path: Path, accumulated: int):
    """Each step has other classes in its parts, and the last of an epoch fewer examples."""
    task = "data.task={type: classification, class_weights: [1, 9]}"
    settings = ("model=mlp", "data=breast_cancer", task, "trainer.max_epochs=1", "trainer.log_every_n_steps=1", METRICS)
    parts = (f"data.batch_size={16 // accumulated}", f"trainer.accumulate_grad_batches={accumulated}")
    one = trained(tmp_path / "one", *settings, "data.batch_size=32")
    two = trained(tmp_path / "two", *settings, *parts, *DDP)
    np.testing.assert_allclose(losses(two), losses(one), rtol=ROUNDING)
    for name in ("loss", "area", "error"):
        assert last_of(two, f"test/{name}") == pytest.approx(last_of(one, f"test/{name}"), rel=ROUNDING)


def test_a_process_without_a_batch_of_validation_counts_nothing(tmp_path: Path):
    """Metrics whose states grow, or get their shape from the first batch, ended the run or waited forever."""
    settings = ("model=mlp", "data=breast_cancer", METRICS, "trainer.max_epochs=1")
    one = trained(tmp_path / "one", *settings, "data.batch_size=256")
    two = trained(tmp_path / "two", *settings, "data.batch_size=128", *DDP)
    for name in ("loss", "area", "error"):
        assert last_of(two, f"test/{name}") == pytest.approx(last_of(one, f"test/{name}"), rel=ROUNDING)
