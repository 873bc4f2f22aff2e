"""Every task from config to last line, and the tests of memory that are made from a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from modelforge.core.words import digits
from modelforge.train.data.batches import Batched
from modelforge.train.tasks.registry import main_metric, parse_task, val_metrics
from tests.train.tables import reverse

SIZES = ("data.num_train=64", "data.num_val=32", "data.num_test=32")


def test_batches_of_several_inputs():
    part = Batched(reverse().read().train)
    (source, target), told = part.__getitems__([3, 1])
    (one, _), _ = part[3]
    assert (source.shape, target.shape, told.shape) == ((2, 6),) * 3
    assert torch.equal(one, source[0])


RUNS = [
    (["model=lstm", "data=adding", "data.num_steps=10", *SIZES], "r2", "test R² "),
    (
        ["model=lstm", "data=copy", "data.num_steps=25", "~model.layers.last", *SIZES],
        "accuracy",
        "test accuracy ",
    ),
    (["model=t5", "data.num_steps=5", *SIZES], "accuracy", "test accuracy "),
    (["model=autoencoder"], "mse", "test mean squared error "),
    (["data=breast_cancer"], "accuracy", "test accuracy "),
]


IDS = [f"{metric}{number}" for number, (_, metric, _) in enumerate(RUNS)]


@pytest.mark.parametrize(("overrides", "metric", "words"), RUNS, ids=IDS)
def test_a_run_of_each_task(train, capsys, overrides: list[str], metric: str, words: str):
    result = train(*overrides, "trainer.enable_progress_bar=true")
    assert result.exit_code == 0
    metrics = result.status.metrics
    assert set(metrics) == {f"val/{metric}", f"test/{metric}", "test/loss"}
    assert result.status.optimized_metric == f"val/{metric}"
    out = capsys.readouterr().out
    assert f"  val {metric} " in out
    assert out.splitlines()[-1].startswith(f"{words}{digits(metrics[f'test/{metric}'])}  ·  ")


@pytest.mark.parametrize("overrides", [run[0] for run in RUNS], ids=IDS)
def test_a_resumed_run_of_each_task_goes_on_to_the_bit(train, tmp_path: Path, overrides: list[str]):
    paths = {name: tmp_path / name / "checkpoints" / "last.ckpt" for name in ("whole", "broken")}
    whole = train(*overrides, folder="whole")
    train(*overrides, "trainer.max_epochs=1", folder="broken")
    resumed = train(*overrides, f"ckpt={paths['broken']}", folder="broken")
    assert resumed.status.metrics == whole.status.metrics
    weights = [torch.load(path, weights_only=True)["state_dict"] for path in paths.values()]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_an_lstm_learns_to_add(train):
    sizes = ["data.num_steps=4", "data.num_train=2000", "data.num_val=100", "data.num_test=100"]
    result = train("model=lstm", "data=adding", *sizes, "trainer.max_epochs=15", "optimizer.lr=0.01")
    assert result.status.metrics["test/r2"] > 0.95


def test_the_last_batch_may_hold_one_example(train):
    assert train("model=lstm", "data=adding", "data.num_steps=4", *SIZES, "data.num_train=65").exit_code == 0


@pytest.mark.parametrize(
    ("task", "metric", "better"),
    [
        ("classification", "val/accuracy", "max"),
        ("regression", "val/r2", "max"),
        ("language_modelling", "val/bits", "min"),
        ("autoencoding", "val/mse", "min"),
    ],
)
def test_what_each_task_is_judged_by(task: str, metric: str, better: str):
    assert main_metric(task) == metric
    assert val_metrics(task) == {metric: better, "val/loss": "min"}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("task", "targets"),
    [
        ("classification", torch.tensor([0, 1])),
        ({"type": "classification", "class_weights": [1.0, 3.0]}, torch.tensor([0, 1])),
        ({"type": "multilabel_classification", "positive_weights": [1.0, 3.0]}, torch.eye(2)),
        ("regression", torch.eye(2)),
        ({"type": "regression", "objective": "huber"}, torch.eye(2)),
        ("autoencoding", torch.zeros(2)),
        ("language_modelling", torch.tensor([[0], [1]])),
    ],
)
def test_losses_have_the_digits_of_the_outputs_and_those_of_float32_at_least(
    task: Any, targets: torch.Tensor, dtype: torch.dtype
):
    """Losses of float64 were computed in float32: `trainer.precision=64-true` trained by those."""
    parsed, due = parse_task(task), torch.promote_types(dtype, torch.float32)
    outputs = torch.tensor([[0.3, -0.2], [0.1, 0.7]], dtype=dtype)
    batch = (torch.eye(2), targets)
    if targets.ndim == 2 and not targets.is_floating_point():
        outputs = outputs[:, None]
    assert parsed.loss(outputs, batch).dtype == parsed.losses(outputs, batch).dtype == due
    if dtype == torch.float64:
        moved = outputs.clone()
        moved[0] += torch.tensor([1e-10, 0], dtype=dtype)
        assert parsed.loss(moved, batch) != parsed.loss(outputs, batch)
