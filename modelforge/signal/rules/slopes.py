"""Rectifiers whose slope below 0 is drawn: for each unit (PReLU) or, in training, for each element (RReLU)."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

from modelforge.core.frozen import FrozenDict
from modelforge.signal.rule import Node, Passed, Unpredictable, passed, register_signal
from modelforge.signal.rules.elementwise import activated, activation, function_of
from modelforge.signal.value import Gradient, Signal


@register_signal("PReLU")
def learned_slopes(node: Node) -> Passed:
    """A rectifier with a slope below 0 for each unit, or one for all.

    Formula: E y² = E x₊² + E a²·E x₋²; E y y′ likewise, as both have one slope; E g² ← E φ′²·E g²
    Source: He et al. 2015, arXiv:1502.01852
    """
    slope, count = node.values("weight"), node.layer.arguments["num_parameters"]
    if slope.std == 0:
        return _at(node, slope.mean)
    if count > 1 and node.signal.shape.units != 1:
        raise Unpredictable("it draws a slope for each position")
    at_mean, *ends = (_at(node, slope.mean + sign * slope.std) for sign in (0, -1, 1))
    return _drawn(at_mean, ends, count, of_units=True)


@register_signal("RReLU")
def random_slopes(node: Node) -> Passed:
    """A rectifier with a uniform slope below 0 for each element; in evaluation their mean for all.

    Formula: E y² = E x₊² + E a²·E x₋²; E y y′ = E φ(x) φ(x′) for the mean slope
    Source: Xu et al. 2015, arXiv:1505.00853
    """
    if not node.training:
        return activation(node)
    low, high = node.layer.arguments["lower"], node.layer.arguments["upper"]
    mean, std = (low + high) / 2, (high - low) / sqrt(12)
    at_mean, *ends = (_at(node, mean + sign * std) for sign in (0, -1, 1))
    shape = node.signal.shape
    return _drawn(at_mean, ends, shape.num_units * shape.num_positions * shape.num_examples, of_units=False)


def _at(node: Node, slope: float) -> Passed:
    return activated(node, function_of("LeakyReLU", FrozenDict({"negative_slope": slope}), FrozenDict()))


def _drawn(at_mean: Passed, ends: list[Passed], count: int, *, of_units: bool) -> Passed:
    """Both ends, a std from the mean: all that is squared in the slope has the mean over both.

    Args:
        at_mean: What the mean slope makes.
        ends: What those at both ends make.
        count: Slopes that are drawn.
        of_units: Whether one slope serves a unit at all positions of all examples.
    """
    middle, low, high = (one.outputs[()] for one in (at_mean, *ends))
    output = _mean(middle, low, high, count, of_units=of_units)

    def back(gradient: Gradient) -> Gradient:
        backs = [one.back({(): gradient})[0] for one in (at_mean, *ends)]
        middle, low, high = (one for one in backs if one is not None)
        energy = (low.energy + high.energy) / 2
        noise = middle.noise + _of_slopes(low.energy, middle.energy, high.energy) / count
        if not of_units:
            return replace(middle, energy=energy, noise=noise)
        along, across = (low.along + high.along) / 2, (low.across + high.across) / 2
        return replace(middle, energy=energy, along=along, across=across, noise=noise)

    return replace(passed(output, back, at_mean.note), chi=_of_both(ends, "chi"), slope=_of_both(ends, "slope"))


def _of_both(ends: list[Passed], name: str) -> float | None:
    low, high = (getattr(one, name) for one in ends)
    return None if low is None or high is None else (low + high) / 2


def _mean(middle: Signal, low: Signal, high: Signal, count: int, *, of_units: bool) -> Signal:
    def both(name: str) -> float:
        return (getattr(low, name) + getattr(high, name)) / 2

    second = both("second")
    more: dict[str, Any] = {name: both(name) for name in ("along", "across", "placed")} if of_units else {}
    fourth = sum((one.tail + 1) * one.second**2 for one in (low, high)) / 2
    return replace(
        middle,
        second=second,
        noise=middle.noise + _of_slopes(low.second, middle.second, high.second) / count,
        third=sum(one.third + 3 * one.variance * (one.mean - middle.mean) for one in (low, high)) / 2,
        tail=fourth / second**2 - 1 if second else 2.0,
        **more,
    )


def _of_slopes(low: float, middle: float, high: float) -> float:
    """The relative variance of an energy a + s²·b, over normal slopes s; those of both ends are a std from the mean."""
    mean = (low + high) / 2
    return ((((high - low) / 2) ** 2 + 2 * (mean - middle) ** 2) / mean**2) if mean else 0.0
