"""maxima: the largest of several exchangeable numbers, normal ones or an activation of such."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from modelforge.inits.gains.statistics import differentiate, evaluate
from modelforge.signal.moments import normal_points
from modelforge.signal.value import Signal


@dataclass(frozen=True, slots=True)
class Maxima:
    """Moments of the maxima of windows."""

    mean: float
    second: float
    third: float
    """E (m - E m)³."""
    along: float
    """E m m′ of two windows of an example."""
    across: float
    """E m m′ of windows of two examples."""
    tilt: float
    """E φ′² at the maxima, over E φ′² anywhere."""


@dataclass(frozen=True, slots=True)
class Windows:
    """How many elements windows have, and how many two of them have in common, each with how often that is so."""

    sizes: tuple[tuple[float, float], ...]
    common: tuple[tuple[float, float], ...]

    @property
    def mean_size(self) -> float:
        return sum(size * share for size, share in self.sizes)


def maxima(signal: Signal, windows: Windows) -> Maxima:
    """The maxima of windows of elements.

    Given what all elements of a unit share they are independent, and the largest of n independent numbers has the
    distribution function Fⁿ (order statistics, David and Nagaraja 2003).
    """
    before = signal.preactivation
    mean, variance = (signal.mean, signal.variance) if before is None else (before.mean, before.variance)
    along = signal.correlation(signal.along) if before is None else before.along
    across = signal.correlation(signal.across) if before is None else before.across
    along, across = max(0.0, along), max(0.0, across)
    z, weights = normal_points()
    x = mean + math.sqrt(variance) * (math.sqrt(along) * z[:, None] + math.sqrt(1 - along) * z)
    if before is None:
        value, slope = x, np.ones_like(x)
    else:
        points = torch.from_numpy(x.ravel())
        function = before.activation.function
        value, slope = evaluate(function, points).reshape(x.shape), differentiate(function, points).reshape(x.shape)
    order = np.argsort(value, axis=1, kind="stable")
    below = np.cumsum(weights[order], axis=1).clip(max=1.0)
    ranked, steep = np.take_along_axis(value, order, 1), np.take_along_axis(slope, order, 1)
    chance = sum(share * _steps(below**size) for size, share in windows.sizes)
    moments = [float(weights @ (chance * ranked**power).sum(axis=1)) for power in (1, 2, 3)]
    at_maxima, anywhere = weights @ (chance * steep**2).sum(axis=1), weights @ (slope**2 @ weights)
    given = (chance * ranked).sum(axis=1)
    size = windows.mean_size
    return Maxima(
        moments[0],
        moments[1],
        moments[2] - 3 * moments[0] * moments[1] + 2 * moments[0] ** 3,
        sum(share * float(weights @ _together(ranked, below, size, both)) for both, share in windows.common),
        _shared(z, weights, given, 0.0 if along == 0 else min(1.0, across / along)),
        float(at_maxima / anywhere) if anywhere else 1.0,
    )


def _steps(distribution: np.ndarray) -> np.ndarray:
    return np.diff(distribution, axis=1, prepend=0.0)


def _together(ranked: np.ndarray, below: np.ndarray, size: float, both: float) -> np.ndarray:
    """E m m′ of two windows of `size` elements that have `both` in common: given the largest of those, independent."""
    apart = max(0.0, size - both)
    rest = _steps(below**apart) if apart else np.zeros_like(below)
    upwards = np.cumsum((rest * ranked)[:, ::-1], axis=1)[:, ::-1] - rest * ranked
    larger = ranked * below**apart + upwards
    if both == 0:
        return (rest * ranked).sum(axis=1) ** 2
    return (_steps(below**both) * larger**2).sum(axis=1)


def _shared(z: np.ndarray, weights: np.ndarray, given: np.ndarray, correlation: float) -> float:
    """E f(u) f(v) of two normal numbers that are correlated."""
    other = correlation * z[:, None] + math.sqrt(1 - correlation**2) * z
    return float(weights @ (given * (np.interp(other, z, given) @ weights)))
