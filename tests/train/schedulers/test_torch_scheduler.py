"""Schedulers of torch by name, alone and in lists, with the length of the training where they need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from modelforge.train.schedulers.scheduler import parse_scheduler
from modelforge.train.schedulers.torch_scheduler import schedulers
from tests.train.problems import said

LINEAR: Mapping[str, Any] = {"type": "LinearLR", "start_factor": 0.5, "total_iters": 4}
EXPONENTIAL: Mapping[str, Any] = {"type": "ExponentialLR", "gamma": 0.5}


def steps(section: Mapping[str, Any], number: int) -> list[tuple[float, ...]]:
    """The learning rates of two groups at each step."""
    factory, problems = parse_scheduler(section, {})
    assert not problems
    assert factory is not None
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.1}], lr=0.4, momentum=0.9)
    scheduler = factory.over(number)(optimizer)["scheduler"]
    found: list[tuple[float, ...]] = []
    for _ in range(number):
        found.append(tuple(group["lr"] for group in optimizer.param_groups))
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"type": "OneCycleLR"}, [("scheduler", "OneCycleLR needs the argument `max_lr`", "add `max_lr: ...`")]),
        (
            {"type": "OneCycleLR", "max_lr": -1},
            [("scheduler.max_lr", "`max_lr` must be at least 0, but is -1.0", "")],
        ),
        (
            {"type": "LambdaLR"},
            [("scheduler.type", "unknown scheduler `LambdaLR`", "it takes a function, and a config is data")],
        ),
        (
            {"type": "SequentialLR", "milestones": [3]},
            [
                (
                    "scheduler",
                    "SequentialLR needs a list of `schedulers`, but has None",
                    "write `schedulers: [{type: LinearLR}, {type: ExponentialLR, gamma: 0.9}]`",
                )
            ],
        ),
        (
            {"type": "SequentialLR", "schedulers": [LINEAR, {"type": "StepLR"}, {**EXPONENTIAL, "gama": 1}]},
            [
                ("scheduler", "SequentialLR needs the argument `milestones`", "add `milestones: ...`"),
                ("scheduler.schedulers.1", "StepLR needs the argument `step_size`", "add `step_size: ...`"),
                ("scheduler.schedulers.2.gama", "ExponentialLR has no argument `gama`", "did you mean `gamma`?"),
            ],
        ),
        (
            {"type": "SequentialLR", "schedulers": [LINEAR, EXPONENTIAL], "milestones": [5, 4]},
            [
                (
                    "scheduler.milestones",
                    "`milestones` must be 1 rising number, but is [5, 4]",
                    "each is the step at which the next one begins",
                )
            ],
        ),
        (
            {"type": "ChainedScheduler", "schedulers": [LINEAR, {"type": "ReduceLROnPlateau"}]},
            [
                (
                    "scheduler.schedulers.1.type",
                    "ReduceLROnPlateau follows a metric, and cannot be part of ChainedScheduler",
                    "",
                )
            ],
        ),
    ],
)
def test_wrong_sections(section: dict[str, Any], expected: list[tuple[str, str, str]]):
    assert said(parse_scheduler(section, {})[1]) == expected


def test_one_after_another():
    section = {"type": "SequentialLR", "schedulers": [LINEAR, EXPONENTIAL], "milestones": [4]}
    rates = [0.5, 0.625, 0.75, 0.875, 1, 0.5, 0.25]
    assert steps(section, 7) == [pytest.approx((0.4 * rate, 0.1 * rate)) for rate in rates]


def test_several_at_once():
    section = {"type": "ChainedScheduler", "schedulers": [LINEAR, EXPONENTIAL]}
    rates = [0.5, 0.625 / 2, 0.75 / 4, 0.875 / 8, 1 / 16]
    assert steps(section, 5) == [pytest.approx((0.4 * rate, 0.1 * rate)) for rate in rates]


def test_the_length_of_the_training_is_the_end():
    rates = [1, 0.75, 0.5, 0.25]
    assert steps({"type": "PolynomialLR"}, 4) == [pytest.approx((0.4 * rate, 0.1 * rate)) for rate in rates]
    own = steps({"type": "OneCycleLR", "max_lr": 0.4, "total_steps": 9}, 9)
    assert steps({"type": "OneCycleLR", "max_lr": 0.4}, 9) == own


@pytest.mark.parametrize(
    ("section", "first"),
    [
        ({"type": "OneCycleLR", "max_lr": 0.8, "total_steps": 10}, 0.8 / 25),
        ({"type": "CyclicLR", "base_lr": 0.2, "max_lr": 0.5}, 0.2),
    ],
    ids=["OneCycleLR", "CyclicLR"],
)
def test_schedulers_with_rates_of_their_own_keep_the_ratios(section: dict[str, Any], first: float):
    assert steps(section, 1) == [pytest.approx((first, first / 4))]


def test_all_of_torch_is_there_but_what_takes_code():
    assert {"StepLR", "OneCycleLR", "CosineAnnealingLR", "ReduceLROnPlateau", "SequentialLR"} <= set(schedulers())
    assert not {"LambdaLR", "MultiplicativeLR", "LRScheduler"} & {*schedulers()}
