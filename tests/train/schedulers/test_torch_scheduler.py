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
        (
            {
                "type": "SequentialLR",
                "schedulers": [LINEAR, {"type": "ChainedScheduler", "schedulers": [EXPONENTIAL]}],
                "milestones": [4],
            },
            [
                (
                    "scheduler.schedulers.1.type",
                    "ChainedScheduler cannot be part of SequentialLR, which sets the step of each part",
                    "name its schedulers in the outer list",
                )
            ],
        ),
        ({"type": "ExponentialLR", "gamma": 0.9, "last_epoch": -1}, []),  # torch's own default
        (
            {"type": "ExponentialLR", "gamma": 0.9, "last_epoch": 5},
            [
                (
                    "scheduler.last_epoch",
                    "`last_epoch` of ExponentialLR is not for a config to set",
                    "a resumed run goes on where it was",
                )
            ],
        ),
        (
            {"type": "OneCycleLR", "max_lr": 0.1, "div_factor": 0},
            [("scheduler.div_factor", "OneCycleLR refuses its arguments: it divides by one that is 0", "")],
        ),
    ],
)
def test_wrong_sections(section: dict[str, Any], expected: list[tuple[str, str, str]]):
    assert said(parse_scheduler(section, {})[1]) == expected


@pytest.mark.parametrize(
    ("section", "name", "said_of_it"),
    [
        ({"type": "StepLR", "step_size": 0}, "step_size", "1, but is 0"),
        ({"type": "CosineAnnealingLR", "T_max": 0}, "T_max", "1, but is 0"),
        ({"type": "LinearLR", "total_iters": 0}, "total_iters", "1, but is 0"),
        ({"type": "CyclicLR", "base_lr": 0.1, "max_lr": 0.2, "step_size_up": 0}, "step_size_up", "1, but is 0"),
        ({"type": "MultiStepLR", "milestones": [3, 0]}, "milestones", "1, but is [3, 0]"),
        ({"type": "ExponentialLR", "gamma": -0.5}, "gamma", "0, but is -0.5"),
        ({"type": "ExponentialLR", "gamma": float("nan")}, "gamma", "0, but is nan"),
        ({"type": "CosineAnnealingLR", "T_max": 5, "eta_min": -1}, "eta_min", "0, but is -1.0"),
    ],
)
def test_numbers_that_torch_takes_and_cannot_use(section: dict[str, Any], name: str, said_of_it: str):
    assert said(parse_scheduler(section, {})[1]) == [
        (f"scheduler.{name}", f"`{name}` must be at least {said_of_it}", "")
    ]


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


def one_after_another(second: Mapping[str, Any], number: int = 12) -> list[tuple[float, ...]]:
    return steps({"type": "SequentialLR", "schedulers": [LINEAR, second], "milestones": [4]}, number)


def test_rates_of_their_own_are_those_of_the_config_behind_a_warm_up():
    """A warm-up that is made first lowers the rates of the optimizer, by which the groups' ratios go."""
    rates = one_after_another({"type": "CyclicLR", "base_lr": 0.2, "max_lr": 0.8, "step_size_up": 2})[4:]
    assert rates == [pytest.approx((rate, rate / 4)) for rate in (0.2, 0.5, 0.8, 0.5, 0.2, 0.5, 0.8, 0.5)]
    peak = max(one_after_another({"type": "OneCycleLR", "max_lr": 0.8, "total_steps": 8}))
    assert peak == pytest.approx((0.8, 0.2), rel=0.05)


@pytest.mark.parametrize(
    ("kind", "end"), [("CosineAnnealingLR", "T_max"), ("PolynomialLR", "total_iters"), ("OneCycleLR", "total_steps")]
)
def test_the_end_of_a_part_is_the_next_milestone(kind: str, end: str):
    own = {"type": kind} | ({"max_lr": 0.8} if kind == "OneCycleLR" else {})
    assert one_after_another(own) == one_after_another({**own, end: 8})
    assert one_after_another(own) != one_after_another({**own, end: 12})
    third = {"type": "SequentialLR", "schedulers": [LINEAR, own, EXPONENTIAL], "milestones": [4, 9]}
    assert steps(third, 12)[:9] == one_after_another({**own, end: 5}, 9)


def test_all_of_torch_is_there_but_what_takes_code():
    assert {"StepLR", "OneCycleLR", "CosineAnnealingLR", "ReduceLROnPlateau", "SequentialLR"} <= set(schedulers())
    assert not {"LambdaLR", "MultiplicativeLR", "LRScheduler"} & {*schedulers()}
