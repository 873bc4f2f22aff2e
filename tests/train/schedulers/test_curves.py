"""Curves: the right learning rate at each step, against the formulas."""

from __future__ import annotations

from math import cos, pi, sqrt
from typing import Any

import pytest
import torch

from modelforge.train.schedulers.curves import CURVES
from modelforge.train.schedulers.scheduler import parse_scheduler


def rates(section: dict[str, Any], length: int, number: int | None = None) -> list[float]:
    """The learning rates of so many steps, for an optimizer with 1."""
    factory, problems = parse_scheduler(section, {})
    assert not problems
    assert factory is not None
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = factory.over(length)(optimizer)["scheduler"]
    found: list[float] = []
    for _ in range(length if number is None else number):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


RISE = [1 / 4, 2 / 4, 3 / 4]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"type": "constant", "warmup": 3}, [*RISE, *[1.0] * 7]),
        ({"type": "linear"}, [1 - t / 10 for t in range(10)]),
        ({"type": "linear", "warmup": 3, "final": 0.3}, [*RISE, *(1 - 0.7 * t / 7 for t in range(7))]),
        ({"type": "cosine"}, [(1 + cos(pi * t / 10)) / 2 for t in range(10)]),
        ({"type": "cosine", "warmup": 0.3}, [*RISE, *((1 + cos(pi * t / 7)) / 2 for t in range(7))]),
        ({"type": "cosine", "final": 0.2}, [0.2 + 0.8 * (1 + cos(pi * t / 10)) / 2 for t in range(10)]),
        ({"type": "inverse_sqrt"}, [1 / sqrt(t + 1) for t in range(10)]),
        ({"type": "inverse_sqrt", "warmup": 3}, [*RISE, *(sqrt(4 / (t + 1)) for t in range(3, 10))]),
        ({"type": "wsd", "warmup": 3, "decay": 4}, [*RISE, 1.0, 1.0, 1.0, 1.0, 3 / 4, 2 / 4, 1 / 4]),
        ({"type": "wsd", "decay": 0.5, "final": 0.5}, [*[1.0] * 5, 1.0, 0.9, 0.8, 0.7, 0.6]),
        ({"type": "wsd", "decay": 0}, [1.0] * 10),
        ({"type": "wsd", "decay": 0.01}, [1.0] * 10),
    ],
    ids=str,
)
def test_the_rate_at_each_step(section: dict[str, Any], expected: list[float]):
    assert rates(section, 10) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["linear", "cosine", "wsd"])
def test_behind_the_end_the_rate_stays(name: str):
    assert rates({"type": name, "final": 0.25}, 10, 14)[-4:] == [0.25] * 4
    assert rates({"type": name, "horizon": 5, "warmup": 1}, 10)[-5:] == [0.0] * 5


@pytest.mark.parametrize("name", CURVES)
def test_a_training_shorter_than_its_warm_up_only_rises(name: str):
    assert rates({"type": name, "warmup": 20}, 5) == pytest.approx([(t + 1) / 21 for t in range(5)])


def test_torchs_own_cosine_is_the_same():
    own = rates({"type": "CosineAnnealingLR", "interval": "step"}, 50)
    assert rates({"type": "cosine"}, 50) == pytest.approx(own)


def test_a_warm_up_of_torchs_own_is_the_same():
    parts = [{"type": "LinearLR", "start_factor": 1 / 6, "total_iters": 5}, {"type": "CosineAnnealingLR", "T_max": 15}]
    own = rates({"type": "SequentialLR", "schedulers": parts, "milestones": [5]}, 20)
    assert rates({"type": "cosine", "warmup": 5}, 20) == pytest.approx(own)


def test_groups_keep_their_ratio():
    factory, _ = parse_scheduler({"type": "linear"}, {})
    assert factory is not None
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": 0.25}], lr=1.0)
    scheduler = factory.over(4)(optimizer)["scheduler"]
    for _ in range(2):
        optimizer.step()
        scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.125]
