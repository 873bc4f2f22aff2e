"""maxima: the largest of several exchangeable numbers, normal ones or an activation of such."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from modelforge.inits.gains.statistics import differentiate, evaluate
from modelforge.signal.moments import NODES, REACH
from modelforge.signal.value import Signal


@dataclass(frozen=True, slots=True)
class Maxima:
    """Moments of the maxima of windows."""

    mean: float
    second: float
    along: float
    """E m m′ of two windows of an example."""
    across: float
    """E m m′ of windows of two examples."""
    tilt: float
    """E φ′² at the maxima, over E φ′² anywhere."""


def maxima(signal: Signal, count: int) -> Maxima:
    """The maxima of windows of `count` elements.

    Given what all elements of a unit share they are independent, and the largest of n independent numbers has the
    distribution function Fⁿ (order statistics, David and Nagaraja 2003).
    """
    behind = signal.behind
    mean, variance = (signal.mean, signal.variance) if behind is None else (behind.mean, behind.variance)
    along = signal.correlation(signal.along) if behind is None else behind.along
    across = signal.correlation(signal.across) if behind is None else behind.across
    along, across = max(0.0, along), max(0.0, across)
    z = np.linspace(-REACH, REACH, NODES)
    weights = np.exp(-(z**2) / 2)
    weights /= weights.sum()
    x = mean + math.sqrt(variance) * (math.sqrt(along) * z[:, None] + math.sqrt(1 - along) * z)
    if behind is None:
        value, slope = x, np.ones_like(x)
    else:
        points = torch.from_numpy(x.ravel())
        function = behind.activation.function
        value, slope = evaluate(function, points).reshape(x.shape), differentiate(function, points).reshape(x.shape)
    order = np.argsort(value, axis=1, kind="stable")
    below = np.cumsum(weights[order], axis=1).clip(max=1.0)
    powers = below**count
    chance = np.diff(powers, axis=1, prepend=0.0)
    ranked, steep = np.take_along_axis(value, order, 1), np.take_along_axis(slope, order, 1)
    given = (chance * ranked).sum(axis=1)
    at_maxima, anywhere = weights @ (chance * steep**2).sum(axis=1), weights @ (slope**2 @ weights)
    return Maxima(
        float(weights @ given),
        float(weights @ (chance * ranked**2).sum(axis=1)),
        float(weights @ given**2),
        _shared(z, weights, given, 0.0 if along == 0 else min(1.0, across / along)),
        float(at_maxima / anywhere) if anywhere else 1.0,
    )


def _shared(z: np.ndarray, weights: np.ndarray, given: np.ndarray, correlation: float) -> float:
    """E f(u) f(v) of two normal numbers that are correlated."""
    other = correlation * z[:, None] + math.sqrt(1 - correlation**2) * z
    return float(weights @ (given * (np.interp(other, z, given) @ weights)))
