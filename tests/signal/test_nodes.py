"""Means over calls and seeds."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import Tensor

from modelforge.signal.measures import Moments
from modelforge.signal.nodes import finite, node_of
from modelforge.signal.watch import Record, Seen


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seen(values: Tensor, gradient: Tensor | None = None) -> Seen:
    found = None if gradient is None else Moments.of(gradient)
    return Seen(tuple(values.shape), Moments.of(values), found, values.shape[-1], 1, 2.0, 0.5)


def test_one_call_of_one_seed_is_itself():
    values, gradient = normal(4, 3), normal(4, 3, seed=1)
    node = node_of([Record("fc", "Linear", [seen(values, gradient)])])
    assert (node.path, node.kind, node.shape, node.num_units, node.steps) == ("fc", "Linear", (4, 3), 3, ())
    assert node.forward == Moments.of(values)
    assert node.gradient == Moments.of(gradient)
    assert (node.num_dead, node.effective_rank, node.saturated) == (1, 2, 0.5)


def test_calls_of_different_sizes_are_one_set_of_numbers():
    calls = [normal(4, 3), 2 + normal(8, 3, seed=1)]
    node = node_of([Record("fc", "Linear", [seen(one, 3 * one) for one in calls])])
    whole = Moments.of(torch.cat(calls))
    for found, factor in ((node.forward, 1), (node.gradient, 3)):
        assert found.mean == pytest.approx(factor * whole.mean)
        assert found.std == pytest.approx(factor * whole.std)
        assert found.second_moment == pytest.approx(factor**2 * whole.second_moment)
    assert [step.forward for step in node.steps] == [Moments.of(one) for one in calls]
    assert [step.gradient for step in node.steps] == [Moments.of(3 * one) for one in calls]


def test_calls_that_no_gradient_reaches_do_not_count():
    calls = [seen(normal(4, 3), normal(4, 3)), seen(normal(4, 3))]
    assert node_of([Record("fc", "Linear", calls)]).gradient == calls[0].gradient
    assert node_of([Record("fc", "Linear", calls[1:])]).gradient is None


def test_seeds_are_averaged():
    values = [factor * normal(50, 3, seed=factor) for factor in (1, 2, 3)]
    node = node_of([Record("fc", "Linear", [seen(one)]) for one in values])
    single = [Moments.of(one) for one in values]
    assert node.forward.second_moment == pytest.approx(statistics.fmean(one.second_moment for one in single))
    logs = [math.log(one.second_moment) for one in single]
    assert node.forward.log_second_moment == pytest.approx(statistics.fmean(logs))
    assert node.forward.spread == pytest.approx(statistics.stdev(logs))
    assert node.forward.std == pytest.approx(math.sqrt(statistics.fmean(one.std**2 for one in single)))


def test_a_signal_that_has_died_has_no_spread():
    node = node_of([Record("fc", "Linear", [seen(torch.zeros(2, 2))]) for _ in range(2)])
    assert (node.forward.second_moment, node.forward.log_second_moment) == (0, -math.inf)
    assert math.isnan(node.forward.spread)
    data = node.to_dict()["forward"]
    assert (data["second_moment"], data["log_second_moment"], data["spread"]) == (0, None, None)


def test_seeds_that_died_and_that_exploded_have_no_mean():
    values = [torch.zeros(2, 2), torch.full((2, 2), math.inf)]
    node = node_of([Record("fc", "Linear", [seen(one)]) for one in values])
    assert math.isnan(node.forward.log_second_moment)
    assert node.to_dict()["forward"]["log_second_moment"] is None


def test_numbers_that_are_not_finite_become_none():
    assert finite({"a": (1.0, math.inf), "b": [{"c": math.nan}], "d": "x", "e": 3}) == {
        "a": [1.0, None],
        "b": [{"c": None}],
        "d": "x",
        "e": 3,
    }
