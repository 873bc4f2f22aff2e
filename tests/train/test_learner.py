"""A model and a task as Lightning trains them: losses, metrics, and what is not finite."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import nn

from modelforge.train.data.distributed_samplers import Share
from modelforge.train.divergence import NotFinite
from modelforge.train.learner import COUNTED, Learner, num_accumulated
from modelforge.train.optimizers.optimizer import parse_optimizer
from modelforge.train.parallel.world import World
from modelforge.train.schedulers.scheduler import parse_scheduler
from modelforge.train.tasks.classification import Classification
from tests.train.runs import trained
from tests.train.tables import digits

BATCH = (torch.zeros(4, 2), torch.tensor([0, 0, 1, 2]))


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> Learner:
    torch.manual_seed(0)
    factory, _ = parse_optimizer({"type": "SGD", "lr": 0.1})
    assert factory is not None
    learner = Learner(nn.Linear(2, 10), Classification(), digits(), factory)
    nn.init.zeros_(learner.model.weight)  # pyright: ignore[reportArgumentType]  # a linear layer's
    nn.init.zeros_(learner.model.bias)  # pyright: ignore[reportArgumentType]  # as above
    logged: dict[str, Any] = {}
    monkeypatch.setattr(learner, "log", lambda name, value, **_: logged.update({name: value}))
    monkeypatch.setattr(Learner, "global_step", 7, raising=False)
    monkeypatch.setattr(Learner, "trainer", Trainer(logger=False, enable_checkpointing=False, accelerator="cpu"))
    monkeypatch.setattr(learner, "logged", logged, raising=False)
    return learner


def test_the_loss_of_equal_scores_is_the_log_of_the_number_of_classes(learner: Learner):
    loss = learner.training_step(BATCH, 0)
    assert loss.item() == pytest.approx(torch.tensor(10.0).log().item())
    assert loss.requires_grad
    assert set(learner.logged) == {"train/loss", "train/accuracy"}


def test_each_stage_counts_for_itself(learner: Learner):
    learner.validation_step(BATCH, 0)
    learner.test_step((BATCH[0], torch.tensor([1, 1, 1, 1])), 0)
    assert learner.meters["_val"].compute().item() == 0.5
    assert learner.meters["_test"].compute().item() == 0
    assert set(learner.logged) == {"val/loss", "val/accuracy", "test/loss", "test/accuracy"}


@pytest.mark.parametrize("size", [4, 2, 1])
def test_the_loss_of_a_part_does_not_depend_on_the_size_of_its_batches(learner: Learner, size: int):
    """With class weights, a batch counts by the sum of the weights that its mean divides by."""
    learner.task = Classification(class_weights=(9.0, 1.0, 2.0, *[1.0] * 7))
    scores = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
    learner.model = nn.Linear(3, 10, bias=False)
    nn.init.eye_(learner.model.weight)
    whole = learner.task.loss(learner.model(scores), (scores, BATCH[1]))
    for index, (inputs, targets) in enumerate(zip(scores.split(size), BATCH[1].split(size), strict=True)):
        learner.test_step((inputs, targets), index)
        learner.training_step((inputs, targets), index)
    assert learner.logged["test/loss"].compute().item() == pytest.approx(whole.item(), rel=1e-6)
    assert learner.logged["train/loss"].compute().item() == pytest.approx(whole.item(), rel=1e-6)


def test_the_last_step_of_an_epoch_divides_by_the_batches_that_it_has(
    learner: Learner, monkeypatch: pytest.MonkeyPatch
):
    """Lightning divides each by `accumulate_grad_batches`."""
    monkeypatch.setattr(learner.trainer, "accumulate_grad_batches", 4)
    monkeypatch.setattr(learner.trainer.fit_loop, "max_batches", 10)
    counted = [num_accumulated(learner.trainer, index) for index in range(10)]
    assert counted == [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]
    losses = [learner.training_step(BATCH, index).item() for index in range(4, 9)]
    assert losses == pytest.approx([math.log(10)] * 4 + [2 * math.log(10)])


def test_processes_count_by_the_weight_of_their_examples(learner: Learner):
    """The mean of their gradients is that of one process with all examples."""
    learner.task = Classification(class_weights=(9.0, 1.0, 2.0, *[1.0] * 7))
    halves = [tuple(one[part] for one in BATCH) for part in (slice(0, 2), slice(2, 4))]
    weights = [float(learner.task.weight(half)) for half in halves]
    assert weights == [18.0, 3.0]

    class Two(World):
        def mean(self, number: float) -> float:
            assert number in weights
            return sum(weights) / 2

    learner.share = lambda stage, index: Share(2)
    alone = learner.training_step(BATCH, 0)
    learner.world = Two(0, 2)
    both = [learner.training_step(half, 0) for half in halves]
    gradients = [torch.autograd.grad(one, learner.model.weight)[0] for one in (alone, sum(both) / 2)]
    assert torch.allclose(*gradients, rtol=1e-6)
    assert alone.item() == pytest.approx((sum(both) / 2).item())


def gradient(learner: Learner, *batches: tuple[Any, Any]) -> torch.Tensor:
    """Of one step over some batches, as Lightning adds it up."""
    learner.trainer.accumulate_grad_batches = len(batches)
    learner.zero_grad()
    for index, batch in enumerate(batches):
        (learner.training_step(batch, index) / len(batches)).backward()
        learner.on_after_backward()
    found = learner.model.weight.grad
    assert isinstance(found, torch.Tensor)
    return found


WEIGHTS = (9.0, 0.1, 2.0, *[1.0] * 7)
DRAWN = (torch.randn(8, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]))
IGNORED = (DRAWN[0], torch.tensor([-100, -100, -100, -100, 0, 1, -100, 2]))


@pytest.mark.parametrize("sizes", [(4, 4), (2, 4, 2), (5, 3), (7, 1), (8,)], ids=str)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
@pytest.mark.parametrize("batch", [DRAWN, IGNORED], ids=["all", "ignored"])
def test_batches_that_are_accumulated_count_by_their_weight(learner: Learner, sizes: Any, weights: Any, batch: Any):
    """The gradient is that of one batch with all examples."""
    learner.task = Classification(class_weights=weights)
    whole = gradient(learner, batch).clone()
    parts = gradient(learner, *zip(*(one.split(list(sizes)) for one in batch), strict=True))
    assert whole.abs().sum() > 0
    assert torch.allclose(parts, whole, rtol=1e-5, atol=1e-7)


def test_batches_that_count_the_same_are_added_up_as_they_are(learner: Learner):
    """To the bit."""
    halves = [tuple(one[part] for one in DRAWN) for part in (slice(0, 4), slice(4, 8))]
    losses = [learner.task.loss(learner.model(inputs), (inputs, labels)) / 2 for inputs, labels in halves]
    first, second = (torch.autograd.grad(one, learner.model.weight)[0] for one in losses)
    assert torch.equal(gradient(learner, *halves), first + second)


def test_a_step_in_which_nothing_counts_changes_nothing(learner: Learner):
    """In one process and in several, with one batch and with two."""
    nothing = (DRAWN[0], torch.full((8,), -100))
    for world in (World(), World(0, 2)):
        learner.world = world
        learner.share = lambda stage, index: Share(8)
        for batches in ([nothing], [nothing, nothing]):
            assert gradient(learner, *batches).abs().sum() == 0


def test_a_loss_that_is_not_finite_stops_the_training_but_not_the_test(learner: Learner):
    bad = (torch.full((4, 2), float("inf")), BATCH[1])
    for step in (learner.training_step, learner.validation_step):
        with pytest.raises(NotFinite):
            step(bad, 0)
    learner.test_step(bad, 0)
    assert not torch.isfinite(learner.logged["test/loss"].compute())


def test_what_was_counted_in_an_epoch_goes_on_from_a_checkpoint(learner: Learner, monkeypatch: pytest.MonkeyPatch):
    learner.training_step(BATCH, 0)
    checkpoint: dict[str, Any] = {}
    learner.on_save_checkpoint(checkpoint)
    assert len(checkpoint[COUNTED]) == 2
    other = Learner(learner.model, learner.task, digits(), learner.optimizer)
    monkeypatch.setattr(other, "log", lambda *_, **__: None)
    other.on_load_checkpoint(checkpoint)
    more = (BATCH[0], torch.tensor([0, 0, 0, 0]))
    for one in (learner, other):
        one.training_step(more, 1)
    assert other.meters["_train"].compute() == learner.meters["_train"].compute() == 0.75
    assert other.train_loss.compute() == learner.train_loss.compute()


def test_an_optimizer_comes_alone_or_with_its_scheduler(learner: Learner, monkeypatch: pytest.MonkeyPatch):
    optimizer = learner.configure_optimizers()
    assert isinstance(optimizer, torch.optim.SGD)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2
    scheduler, problems = parse_scheduler({"type": "StepLR", "step_size": 1}, {"val/loss": "min"})
    assert problems == []
    learner.scheduler = scheduler
    monkeypatch.setattr(Learner, "trainer", type("Trainer", (), {"check_val_every_n_epoch": 1}))
    both = learner.configure_optimizers()
    assert isinstance(both["lr_scheduler"]["scheduler"], torch.optim.lr_scheduler.StepLR)


def steps(folder: Path) -> list[tuple[float, float]]:
    rows = csv.DictReader((folder / "steps.csv").read_text().splitlines())
    return [(float(row["loss"]), float(row["gradient_norm"])) for row in rows]


def test_a_run_that_accumulates_is_that_of_large_batches(tmp_path: Path):
    """Also in the last step of an epoch: 398 examples are 8 steps of 48, and one of 14."""
    task = "data.task={type: classification, class_weights: [10, 0.1]}"
    every = ("model=mlp", "data=breast_cancer", task, "trainer.log_every_n_steps=1", "trainer.max_epochs=1")
    whole = trained(tmp_path / "whole", *every, "data.batch_size=48")
    parts = trained(tmp_path / "parts", *every, "data.batch_size=12", "trainer.accumulate_grad_batches=4")
    assert len(steps(whole)) == 9
    assert steps(parts) == [pytest.approx(row, rel=1e-4) for row in steps(whole)]


def test_lbfgs_counts_a_batch_once_at_the_weights_that_the_step_began_with(train, tmp_path: Path):
    """It evaluates a batch many times in one step; the mean over all of them was logged."""
    whole = ("model=mlp", "data=digits", "data.batch_size=2000", "trainer.max_epochs=1", "trainer.log_every_n_steps=1")
    for kind, settings in {
        "SGD": (),
        "LBFGS": ("~optimizer.momentum", "~optimizer.nesterov", "~optimizer.weight_decay"),
    }.items():
        result = train(*whole, "optimizer=sgd", f"optimizer.type={kind}", *settings, folder=kind)
        assert result.exit_code == 0, result.status.error

    def row(kind: str, file: str) -> dict[str, str]:
        return next(csv.DictReader((tmp_path / kind / file).read_text().splitlines()))

    for name in ("train/loss", "train/accuracy"):
        assert row("LBFGS", "metrics.csv")[name] == row("SGD", "metrics.csv")[name]
    for name in ("loss", "gradient_norm"):
        assert row("LBFGS", "steps.csv")[name] == row("SGD", "steps.csv")[name]
