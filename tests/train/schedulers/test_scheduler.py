"""The `scheduler` section: what is wrong with it, the length of the training, and a training that is lengthened."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from modelforge.train.lengths import Lengths
from modelforge.train.schedulers.scheduler import SchedulerFactory, parse_scheduler
from tests.train.problems import said

METRICS = {"val/accuracy": "max", "val/loss": "min"}


def parsed(section: dict[str, Any]) -> SchedulerFactory:
    factory, problems = parse_scheduler(section, METRICS)  # pyright: ignore[reportArgumentType]  # directions
    assert not problems
    assert factory is not None
    return factory


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            {"type": "StepLR", "step_size": 3, "interval": "batch"},
            [("scheduler.interval", "`interval` must be 'epoch' or 'step', but is 'batch'", "")],
        ),
        (
            {"type": "ReduceLROnPlateau", "monitor": "val/los"},
            [
                (
                    "scheduler.monitor",
                    "`monitor` must be 'val/accuracy' or 'val/loss', but is 'val/los'",
                    "null: the optimized metric",
                )
            ],
        ),
        (
            {"type": "ReduceLROnPlateau", "monitor": "val/accuracy", "mode": "min"},
            [
                (
                    "scheduler.mode",
                    "`mode` is 'min', but higher `val/accuracy` is better",
                    "write `scheduler.mode=max`, or null: it follows",
                )
            ],
        ),
        (
            {"type": "StepLR", "step_size": 3, "monitor": "loss"},
            [("scheduler.monitor", "`monitor` must be 'val/accuracy' or 'val/loss', but is 'loss'", "")],
        ),
        (
            {"type": "ReduceLROnPlateau", "monitor": ["val/loss"]},
            [
                (
                    "scheduler.monitor",
                    "`monitor` must be 'val/accuracy' or 'val/loss', but is ['val/loss']",
                    "null: the optimized metric",
                )
            ],
        ),
        (
            {"type": "cosine", "monitor": "val/loss"},
            [
                (
                    "scheduler.monitor",
                    "`monitor` has no effect: cosine steps by time alone",
                    "leave it out: `~scheduler.monitor`",
                )
            ],
        ),
        (
            {"type": "cosine", "warmup": -1, "final": -0.5, "horizon": 0, "T_max": 3, "interval": "batch"},
            [
                ("scheduler.interval", "`interval` must be 'epoch' or 'step', but is 'batch'", ""),
                (
                    "scheduler.warmup",
                    "`warmup` must be a number of steps, or a fraction of the training below 1, but is -1",
                    "`warmup`: Steps of the warm-up, or the fraction of the training that it takes",
                ),
                (
                    "scheduler.horizon",
                    "`horizon` must be greater than 0, but is 0",
                    "`horizon`: The number of steps to the end of the curve; default the length of the training",
                ),
                (
                    "scheduler.final",
                    "`final` must be at least 0, but is -0.5",
                    "`final`: The factor at the horizon",
                ),
                ("scheduler.T_max", "the curve `cosine` has no key `T_max`", "known: `final`, `horizon`, `warmup`"),
            ],
        ),
        ({"type": "cosin"}, [("scheduler.type", "unknown scheduler `cosin`", "did you mean `cosine`?")]),
    ],
)
def test_wrong_schedulers(section: dict[str, Any], expected: list[tuple[str, str, str]]):
    assert said(parse_scheduler(section, METRICS)[1]) == expected  # pyright: ignore[reportArgumentType]  # directions


@pytest.mark.parametrize("null", [{}, {"mode": None}])
@pytest.mark.parametrize(
    ("given", "metric", "followed"),
    [
        ({}, "val/accuracy", ("val/accuracy", "max")),
        ({"monitor": None}, "val/loss", ("val/loss", "min")),
        ({"monitor": "val/loss"}, "val/accuracy", ("val/loss", "min")),
        ({"monitor": "val/accuracy"}, "val/loss", ("val/accuracy", "max")),
    ],
)
def test_a_plateau_follows_the_optimized_metric_in_its_direction(given, null, metric: str, followed: tuple[str, str]):
    section = {"type": "ReduceLROnPlateau", **given, **null}
    factory, problems = parse_scheduler(section, METRICS, None, metric)  # pyright: ignore[reportArgumentType]  # directions
    assert not problems
    assert factory is not None
    made = factory(torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1))
    assert (made["monitor"], made["scheduler"].mode) == followed


@pytest.mark.parametrize(
    ("trainer", "steps", "epochs"),
    [
        ({"max_epochs": 3}, 60, 3),
        ({"max_epochs": 3, "accumulate_grad_batches": 3}, 21, 3),
        ({"max_epochs": 3, "limit_train_batches": 7}, 21, 3),
        ({"max_epochs": 3, "limit_train_batches": 0.5}, 30, 3),
        ({"max_epochs": -1, "max_steps": 50}, 50, 3),
        ({"max_epochs": 2, "max_steps": 50}, 40, 2),
        ({"max_epochs": 5, "max_steps": 41}, 41, 3),
    ],
    ids=str,
)
def test_the_horizon_is_the_length_of_the_training(trainer: dict[str, Any], steps: int, epochs: int):
    length = Lengths(1257, 64, trainer)
    assert length.num_batches is not None
    assert (length.horizon("step"), length.horizon("epoch")) == (steps, epochs)
    factory = parsed({"type": "cosine", "interval": "epoch"})
    assert factory.over(length.horizon(factory.interval)).horizon == epochs


def test_a_curve_steps_by_batch_and_a_scheduler_of_torch_by_epoch():
    assert parsed({"type": "cosine"}).interval == "step"
    assert parsed({"type": "StepLR", "step_size": 3}).interval == "epoch"


def rate_after(factory: SchedulerFactory, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = factory(optimizer)["scheduler"]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
    return optimizer, scheduler


def test_a_lengthened_training_goes_on_along_the_curve_of_its_new_length():
    factory = parsed({"type": "linear"})
    _, old = rate_after(factory.over(4), 4)
    longer = factory.over(8)
    optimizer, scheduler = rate_after(longer, 0)
    scheduler.load_state_dict(old.state_dict())
    optimizer.param_groups[0]["lr"] = 0.0  # as the checkpoint has it
    longer.realign(scheduler)
    found: list[float] = []
    for _ in range(4):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert found == [0.5, 0.375, 0.25, 0.125]
    assert longer.wrong_length(4) is None
    assert not longer.keeps_length


def test_a_scheduler_of_torch_keeps_its_length():
    factory = parsed({"type": "OneCycleLR", "max_lr": 1.0}).over(8)
    assert factory.keeps_length
    assert factory.wrong_length(8) is factory.wrong_length(None) is None
    problem = factory.wrong_length(4)
    assert problem is not None
    assert problem.message == (
        "the checkpoint comes from a training of 4 epochs, and this one has 8 epochs, but OneCycleLR keeps its length"
    )
    assert parsed({"type": "OneCycleLR", "max_lr": 1.0, "total_steps": 8}).over(8).wrong_length(4) is None
    assert not parsed({"type": "ExponentialLR", "gamma": 0.9}).over(8).keeps_length
