"""A model and a task as Lightning trains them: losses, metrics, and what is not finite."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import nn

from modelforge.train.divergence import NotFinite
from modelforge.train.learner import COUNTED, Learner
from modelforge.train.optimizers.optimizer import parse_optimizer
from modelforge.train.schedulers.scheduler import parse_scheduler
from modelforge.train.tasks.classification import Classification
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


def test_a_loss_that_is_not_finite_stops_the_training_but_not_the_test(learner: Learner):
    bad = (torch.full((4, 2), float("inf")), BATCH[1])
    for step in (learner.training_step, learner.validation_step):
        with pytest.raises(NotFinite):
            step(bad, 0)
    learner.test_step(bad, 0)
    assert not torch.isfinite(learner.logged["test/loss"])


def test_what_was_counted_in_an_epoch_goes_on_from_a_checkpoint(learner: Learner, monkeypatch: pytest.MonkeyPatch):
    learner.training_step(BATCH, 0)
    checkpoint: dict[str, Any] = {}
    learner.on_save_checkpoint(checkpoint)
    assert len(checkpoint[COUNTED]) == 2
    other = Learner(learner.model, learner.task, digits(), learner.optimizer)
    monkeypatch.setattr(other, "log", lambda *_, **__: None)
    monkeypatch.setattr(Learner, "trainer", Trainer(logger=False, enable_checkpointing=False, accelerator="cpu"))
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
