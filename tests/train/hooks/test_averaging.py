"""Averages are those of the formulas, are what validations and checkpoints see, and leave the training alone."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from modelforge.train.callbacks.weight_averages import ExponentialAverage, StochasticWeightAverage
from modelforge.train.context import Context, Terms
from modelforge.train.hooks.averaging import KEY, Averaging
from modelforge.train.hooks.steps import SeedSteps
from tests.train.hooks.lightning import fit
from tests.train.runs import last

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*")
WEIGHTS = [0.75, 0.5, 0.25, 0.0, -0.25, -0.5]
"""Of the falling number after each step."""


def averaging(settings: Any) -> Averaging:
    terms = Terms("val/loss", {"val/loss": "min"}, {"max_epochs": 3}, has_scheduler=False)
    return settings.make(Context(terms, Path(), None, None, {}, None, print))


def exponential(weights: list[float], decay: float, warmup: bool = False) -> list[float]:
    """average ← decay · average + (1 - decay) · weights."""
    averages = [weights[0]]
    for count, weight in enumerate(weights[1:], start=1):
        share = min(decay, (1 + count) / (10 + count)) if warmup else decay
        averages.append(share * averages[-1] + (1 - share) * weight)
    return averages


@pytest.mark.parametrize("warmup", [False, True])
def test_an_exponential_average_is_that_of_the_formula(tmp_path: Path, warmup: bool):
    callback = averaging(ExponentialAverage(decay=0.2, warmup=warmup))
    _, module = fit(tmp_path, callback)
    averages = exponential(WEIGHTS, 0.2, warmup)
    assert module.trained == WEIGHTS
    assert module.validated == pytest.approx(averages[1::2])
    assert module.model.weight.item() == pytest.approx(averages[-1])  # after the training, the model is the average
    before = [1.0, *WEIGHTS[:-1]]  # callbacks are called before the model's own hook
    assert module.model.halved.item() == pytest.approx(exponential([one / 2 for one in before], 0.2, warmup)[-1])


def test_only_the_steps_that_are_due_count(tmp_path: Path):
    callback = averaging(ExponentialAverage(decay=0.5, warmup=False, every_n_steps=2, start_step=2))
    _, module = fit(tmp_path, callback)
    assert module.validated == pytest.approx([WEIGHTS[1], *exponential([WEIGHTS[3], WEIGHTS[5]], 0.5)])
    assert callback.num_averaged == 2


def test_batches_that_are_accumulated_count_once(tmp_path: Path):
    callback = averaging(ExponentialAverage())
    fit(tmp_path, callback, accumulate_grad_batches=2)
    assert callback.num_averaged == 3


def test_whole_numbers_are_copied(tmp_path: Path):
    """A mean of positions would not be positions."""
    callback = averaging(ExponentialAverage(decay=0.9, warmup=False))
    _, module = fit(tmp_path, callback)
    assert module.model.steps.dtype == torch.int64
    assert module.model.steps.item() == 3 + 5  # as above


def test_a_constant_stays_itself(tmp_path: Path):
    callback = averaging(ExponentialAverage(decay=0.3, warmup=False))
    value = torch.tensor([0.1, 1 / 3, 1e-30])
    for count in range(1, 9):
        assert torch.equal(callback._next(value, value.clone(), count), value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", [ExponentialAverage, StochasticWeightAverage])
def test_small_steps_are_not_lost_in_low_precision(kind: Any, dtype: torch.dtype):
    """Near 1, numbers of bfloat16 are 2⁻⁷ apart, and a long average moves by less in a step."""
    callback, model = averaging(kind()), torch.nn.Linear(2, 2).to(dtype)
    strategy: Any = SimpleNamespace(root_device="cpu")
    trainer: Any = SimpleNamespace(strategy=strategy, precision="32-true", is_last_batch=True, current_epoch=3)
    module: Any = SimpleNamespace(model=model)
    callback.setup(trainer, module, "fit")
    weights: list[float] = []
    for trainer.global_step in range(1, 2001):
        torch.nn.init.constant_(model.weight, 1 + trainer.global_step / 2000)
        weights.append(model.weight[0, 0].item())
        callback.on_train_batch_end(trainer, module, None, None, 0)
    expected = exponential(weights, 0.999, warmup=True)[-1] if kind is ExponentialAverage else fmean(weights)
    assert callback.average is not None
    assert callback.average.module.weight[0, 0].item() == pytest.approx(expected, rel=1e-4)


def test_the_mean_of_the_last_epochs(tmp_path: Path):
    callback = averaging(StochasticWeightAverage(start=0.4))
    _, module = fit(tmp_path, callback)
    ends = WEIGHTS[1::2]
    assert module.validated == pytest.approx([ends[0], ends[1], (ends[1] + ends[2]) / 2])


def test_a_constant_learning_rate_at_the_end(tmp_path: Path):
    _, module = fit(tmp_path, averaging(StochasticWeightAverage(start=0.4, lr=0.125)))
    assert module.trained == [0.75, 0.5, 0.375, 0.25, 0.125, 0.0]


def test_the_learning_rate_takes_the_place_of_the_optimizers(train, tmp_path: Path):
    """The first group is that of the first layer, at a quarter of the rate."""
    swa = ("callbacks=[swa,lr_monitor]", "callbacks.swa.start=0.5", "callbacks.swa.lr=0.003", "optimizer.lr=0.01")
    steps = ("optimizer.layer_decay=0.5", "trainer.log_every_n_steps=1", "+trainer.limit_train_batches=2")
    assert train("model=mlp", "data=digits", "trainer.max_epochs=4", *swa, *steps).exit_code == 0
    with (tmp_path / "run" / "steps.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [float(row["lr/head"]) for row in rows] == [0.01] * 4 + [0.003] * 4
    assert [float(row["lr/hidden1"]) for row in rows] == [0.0025] * 4 + [0.00075] * 4


def weights(path: Path, name: str = "state_dict") -> dict[str, torch.Tensor]:
    checkpoint = torch.load(path, weights_only=True)
    found = checkpoint["state_dict"] if name == "state_dict" else checkpoint[KEY][name]
    return {path: value for path, value in found.items() if path.startswith("model.")}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_training_is_the_same_with_and_without(train, tmp_path: Path):
    """Checkpoints hold both: the average as the model, and the trained weights to go on from."""
    train(folder="plain")
    train("callbacks=ema", folder="averaged")
    assert equal(weights(last(tmp_path / "plain")), weights(last(tmp_path / "averaged"), "trained"))
    assert not equal(weights(last(tmp_path / "plain")), weights(last(tmp_path / "averaged")))


def test_the_best_epoch_is_tested_by_its_average(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tested: list[dict[str, torch.Tensor]] = []

    def note(self: Any, trainer: Any, pl_module: Any) -> None:
        tested.append({name: value.clone() for name, value in pl_module.state_dict().items() if "model." in name})

    monkeypatch.setattr(SeedSteps, "on_test_start", note)
    train("callbacks=ema", "callbacks.ema.decay=0.9")
    (model,) = tested
    assert equal(model, weights(tmp_path / "run" / "checkpoints" / "best.ckpt"))


def test_a_run_goes_on_without_the_average(train, tmp_path: Path):
    train("trainer.max_epochs=3", folder="plain")
    train("callbacks=ema", folder="averaged")
    train("trainer.max_epochs=3", f"ckpt={last(tmp_path / 'averaged')}", folder="next")
    assert equal(weights(last(tmp_path / "plain")), weights(last(tmp_path / "next")))
