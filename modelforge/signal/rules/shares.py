"""Softmax and its relatives: shares of a whole along one dimension."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from modelforge.signal.rule import Node, Passed, passed, register_signal
from modelforge.signal.softmax import Powers, log_sum, powers, shares
from modelforge.signal.value import FLAT, Gradient, Signal


@dataclass(frozen=True, slots=True)
class _Whole:
    """What shares are made of: `size` normal logits, and how they differ from each other."""

    size: int
    variance: float
    """Of logits about what all of a whole have in common."""
    along: float
    """Covariance of logits of two wholes at two positions, about that."""
    across: float
    """The same for two examples."""
    over_units: bool


def _whole(node: Node) -> _Whole:
    """The dimension that shares are taken along, which planning ensures is not the batch's."""
    signal, shape = node.signal, node.signal.shape
    given = node.layer.arguments.get("dim", 1 if node.layer.type == "Softmax2d" else None)
    if given is None:  # torch's choice, which it warns of
        given = 0 if len(shape.sizes) in (1, 3, 4) else 1
    axis = given % len(shape.sizes)
    square = signal.mean**2
    if axis == shape.units:
        along, across = (max(0.0, item - square) for item in (signal.along, signal.across))
        return _Whole(shape.sizes[axis], signal.variance, along, across, over_units=True)
    return _Whole(shape.sizes[axis], max(0.0, signal.second - signal.along), 0.0, 0.0, over_units=False)


def _within(whole: _Whole, signal: Signal, same: float, other: float) -> float:
    """The mean over two positions of an example, of which some are of one whole."""
    positions = signal.shape.num_positions
    if whole.over_units or positions < 2:
        return other
    inside = (whole.size - 1) / (positions - 1)
    return inside * same + (1 - inside) * other


def _made(signal: Signal, **moments: float) -> Signal:
    """What is made of wholes, of which neither the places nor the spread of what arrives are left."""
    rest: dict[str, Any] = {"drift": 0.0, "lift": 0.0, "third": 0.0, "tail": 2.0, "profile": FLAT, "later": FLAT}
    return signal.remade(signal.shape, **rest, **moments)


def _sent(gradient: Gradient, factor: float, noise: float) -> Gradient:
    sent = replace(gradient.amplified(factor), along=0.0, across=0.0, noise=noise)
    return replace(sent, profile=FLAT, through=None, scatter=None)


@register_signal("Softmax", "Softmin", "Softmax2d")
def softmax(node: Node) -> Passed:
    """Shares a = e^x / Σ e^x of normal logits.

    Formula: E y² = E Σ a²/n, E y = 1/n; E g² ← E g²·(E Σ a² - 2·E Σ a³ + E (Σ a²)²)/n
    """
    signal, whole = node.signal, _whole(node)
    size, found = whole.size, powers(whole.variance, whole.size)
    pairs = [shares(item, size)[-1] / size for item in (whole.along, whole.across)]
    rest = (1 - found.second) / (size * max(1, size - 1))
    output = _made(
        signal,
        mean=1 / size,
        second=found.second / size,
        along=_within(whole, signal, rest, pairs[0]),
        across=pairs[1],
        noise=_noise(signal, whole, found) + _of_drift(signal, whole, lambda v: powers(v, size).second),
    )
    factor = max(0.0, found.second - 2 * found.third + found.square) / size

    def back(gradient: Gradient) -> Gradient:
        noise = gradient.noise + 2 * output.noise
        return _sent(gradient, factor, noise)

    return passed(output, back)


def _noise(signal: Signal, whole: _Whole, found: Powers) -> float:
    """Relative variance of the mean of Σ a² over all wholes."""
    wholes = prod(signal.shape.sizes) / whole.size
    return max(0.0, found.square / found.second**2 - 1) / wholes


def _of_drift(signal: Signal, whole: _Whole, of: Callable[[float], float]) -> float:
    """What an uncertain variance of logits makes of a moment, as the variance of its logarithm."""
    if whole.variance == 0:
        return 0.0
    step = 0.05
    up, down = of(whole.variance * (1 + step)), of(whole.variance * (1 - step))
    return ((up - down) / (2 * step * of(whole.variance))) ** 2 * (signal.drift + signal.noise)


@register_signal("LogSoftmax")
def log_softmax(node: Node) -> Passed:
    """x - ln Σ e^x of normal logits.

    Formula: E y² = σ²·(1 - 2/n) + E (ln Σ e^x)²; E g² ← E g²·(1 - 2/n + E Σ a²)
    """
    signal, whole = node.signal, _whole(node)
    size, variance = whole.size, whole.variance
    mean, spread = log_sum(variance, size)
    square = mean**2

    def of(covariance: float, *, same: bool) -> float:
        return covariance * (1 - 2 / size) + square + (spread if same else _log_covariance(covariance, size))

    inside = square + spread - 2 * variance / size
    output = _made(
        signal,
        mean=-mean,
        second=of(variance, same=True),
        along=_within(whole, signal, inside, of(whole.along, same=False)),
        across=of(whole.across, same=False),
        noise=0.0,
    )
    wholes = prod(signal.shape.sizes) / size
    sway = _of_drift(signal, whole, lambda v: v * (1 - 2 / size) + log_sum(v, size)[0] ** 2 + log_sum(v, size)[1])
    own = (2 * variance**2 / size + 4 * square * (spread + variance / size)) / output.second**2 / wholes
    output = replace(output, noise=own + sway)
    factor = 1 - 2 / size + powers(variance, size).second

    def back(gradient: Gradient) -> Gradient:
        return _sent(gradient, factor, gradient.noise)

    return passed(output, back)


def _log_covariance(covariance: float, size: int) -> float:
    """The covariance of ln Σ e^x of two wholes, to first order in that of their logits."""
    return covariance / size
