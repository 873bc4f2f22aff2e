"""Sums over neighbours that are no weights: local response norms, and pools by a p-norm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import exp, lgamma, log, prod, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

from modelforge.core.frozen import FrozenDict
from modelforge.inits.gains.statistics import differentiate, evaluate
from modelforge.signal.moments import normal_points
from modelforge.signal.resampled import matrix_of, resampled
from modelforge.signal.rule import Node, Passed, Unpredictable, passed, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise
from modelforge.signal.rules.gating import ALONG_THE_SIGNAL
from modelforge.signal.taps import spread
from modelforge.signal.value import FLAT, Gradient, Signal, inherited

POINTS = 200
"""Points of the integral over the sum of the neighbours' squares."""
NEARLY = 0.95
"""The exponent from which on energies are taken as just passed on."""
AGAINST_THE_SIGNAL = (
    "its gradient leaves out the signal's direction, so that gradients before are smaller than predicted"
)
STEP = 0.05
"""The relative change of an energy by which a power law is found."""


@register_signal("LPPool1d", "LPPool2d", "LPPool3d")
def norm_pool(node: Node) -> Passed:
    """The p-norm of each window: for p = 2 the root of a sum of squares, taken as a gamma variable; for p = 1 the sum.

    Formula: E y² = k·E x², E y = √(k·E x²/a)·Γ(a + ½)/Γ(a), 1/a = Var Σ x²/(E Σ x²)²; E g² ← E g²/s for stride s
    """
    signal, shape, arguments = as_units(node.signal, 1), node.shape(1), node.layer.arguments
    power, rank = arguments["norm_type"], len(shape.sizes) - 2
    if power not in (1, 2):
        raise Unpredictable(f"pools by the {power:g}-norm have no closed form; those by the norms 1 and 2 have")
    kernel = spread(arguments["kernel_size"], rank)
    steps = zip(kernel, spread(arguments["stride"] or kernel, rank), signal.shape.sizes[2:], strict=True)
    sums = [
        size * matrix_of(partial(_mean_pool, size, step, arguments["ceil_mode"]), length)
        for size, step, length in steps
    ]
    share = shape.num_positions / signal.shape.num_positions
    some = 1 - _chance_of_zero(signal) ** prod(kernel)
    if power == 1:
        tilt = 1 / some if some else 1.0
        result = resampled(signal, shape, sums)
        return replace(result, back=lambda gradients: (_some(result.back(gradients)[0], some, tilt),))
    squares = prod(_summed(one, signal.profile.get(axis)) for axis, one in enumerate(sums, start=2)) * signal.second
    count = prod(kernel)
    near, far = ((item / signal.second) ** 2 if signal.second else 0.0 for item in (signal.along, signal.across))
    spread_square = signal.tail * (1 + (count - 1) * near) / count
    mean = sqrt(squares) * _root_mean(1 / spread_square) if spread_square > 0 else sqrt(squares)

    def of(correlation: float) -> float:
        return mean**2 + (squares - mean**2) * correlation

    output = signal.remade(
        shape,
        mean=mean,
        second=squares,
        along=of(near),
        across=of(far),
        third=0.0,
        tail=max(0.0, spread_square),
        profile=FLAT,
    )
    tilt = _tilt(signal, _values(signal)[0] ** 2)
    reached = {axis: (one / one.sum(axis=1, keepdims=True)).sum(axis=0) for axis, one in enumerate(sums, start=2)}
    profile = {
        axis: energy / energy.mean() for axis, energy in reached.items() if len(energy) == signal.shape.sizes[axis]
    }

    def back(gradient: Gradient) -> Gradient:
        # Signs of neighbours are independent.
        sent = replace(inherited(gradient.amplified(share * some)), along=0.0, across=0.0, through=None, radial=None)
        return replace(sent, tilt=tilt, profile=FrozenDict(profile))

    return passed(output, back, note=ALONG_THE_SIGNAL)


def _some(gradient: Gradient | None, share: float, tilt: float) -> Gradient | None:
    """The gradient where a share of windows sends any."""
    return None if gradient is None else replace(gradient.amplified(share), tilt=tilt)


def _summed(sums: np.ndarray, profile: np.ndarray | None) -> float:
    """The sum over a window of an energy, in units of its mean over all positions."""
    flat = profile is None or len(profile) != sums.shape[1]
    return float((sums.sum(axis=1) if flat else sums @ profile).mean())


def _chance_of_zero(signal: Signal) -> float:
    x, weights = _values(signal)
    return float(weights[x == 0].sum())


def _tilt(signal: Signal, sent: np.ndarray) -> float:
    """How much steeper the activation before is where gradients of this energy arrive than anywhere."""
    preactivation = signal.preactivation
    if preactivation is None:
        return 1.0
    z, weights = normal_points()
    x = torch.from_numpy(preactivation.mean + sqrt(preactivation.variance) * z)
    slope = differentiate(preactivation.activation.function, x) ** 2
    apart = (weights @ sent) * (weights @ slope)
    return float(weights @ (sent * slope) / apart) if apart else 1.0


def _mean_pool(kernel: int, stride: int, ceil: bool, x: Tensor) -> Tensor:
    return avg_pool1d(x, kernel, stride, ceil_mode=ceil)


def _root_mean(shape: float) -> float:
    """E √S of a gamma variable S with mean 1."""
    return exp(lgamma(shape + 0.5) - lgamma(shape)) / sqrt(shape)


@register_signal("LocalResponseNorm")
def local_norm(node: Node) -> Passed:
    """Elements divided by a power of the mean square of neighbouring channels.

    Formula: y = x·D^-β, D = k + α·(x² + R)/n, R the sum of the neighbours' squares, taken as a gamma variable;
        E g² ← E g²·E ((1 - 2αβ/n·x²/D)² + (2αβ/n)²·x²·R/D²)·D^-2β
    Source: Krizhevsky et al. 2012
    """
    signal = as_units(node.signal, 1)
    found, more = _divided(node, signal, 1.0), _divided(node, signal, 1 + STEP)
    power = 1 + log(more.factor / found.factor) / log(1 + STEP) if found.factor > 0 else 1.0
    raised = {axis: shape**power for axis, shape in signal.profile.items()}
    uneven = prod(float(shape.mean()) for shape in raised.values())
    output = replace(
        signal.times(sqrt(found.factor * uneven)),
        mean=found.mean,
        drift=power**2 * signal.drift,
        lift=power * signal.lift,
        profile=FrozenDict({axis: shape / shape.mean() for axis, shape in raised.items()}),
        table=None,
        level=None,
        held=None,
        weight_gain=None,
        scatter=None,
    )
    output = replace(output, noise=normal_noise(output))
    return passed(
        output,
        lambda gradient: replace(
            gradient.amplified(found.slope), tilt=found.tilt, through=None, radial=None, scatter=None
        ),
        note="" if power > NEARLY else AGAINST_THE_SIGNAL,
    )


@dataclass(frozen=True, slots=True)
class _Divided:
    factor: float
    """E y²/E x²."""
    mean: float
    slope: float
    """The factor on E g²."""
    tilt: float


def _divided(node: Node, signal: Signal, scale: float) -> _Divided:
    """The moments of elements that are divided, for an energy `scale` times as large."""
    arguments = node.layer.arguments
    size, alpha, beta, k = (arguments[name] for name in ("size", "alpha", "beta", "k"))
    channels = signal.shape.num_units
    reads = sum(min(channels, place + (size - 1) // 2 + 1) - max(0, place - size // 2) for place in range(channels))
    x, weights = _values(signal)
    square = scale * (x**2)[:, None]
    rest, chances = _neighbours(reads / channels - 1, signal)
    norm = k + alpha * (square + scale * rest) / size
    if (norm <= 0).any():
        raise Unpredictable("it divides by numbers that may be 0")
    push, kept = 2 * alpha * beta / size / norm, norm ** (-2 * beta) @ chances
    sent = (((1 - push * square) ** 2 + push**2 * square * scale * rest) * norm ** (-2 * beta)) @ chances
    energy = float(weights @ x**2)
    factor = float(weights @ (x**2 * kept)) / energy if energy else float(k) ** (-2 * beta)
    return _Divided(factor, float(weights @ (x * (norm**-beta @ chances))), float(weights @ sent), _tilt(signal, sent))


def _values(signal: Signal) -> tuple[np.ndarray, np.ndarray]:
    """Values of one element, and how likely each is."""
    z, weights = normal_points()
    preactivation = signal.preactivation
    if preactivation is None:
        return signal.mean + sqrt(signal.variance) * z, weights
    x = preactivation.mean + sqrt(preactivation.variance) * z
    return evaluate(preactivation.activation.function, torch.from_numpy(x)), weights


def _neighbours(count: float, signal: Signal) -> tuple[np.ndarray, np.ndarray]:
    """Values of a sum of `count` squares, and how likely each is: those of a gamma law with its mean and variance."""
    mean, shape = count * signal.second, count / max(signal.tail, 1e-9)
    if mean == 0:
        return np.zeros(1), np.ones(1)
    log_values = np.linspace(-30 / shape - 3, 3 + 6 / sqrt(shape), POINTS * 4)
    weights = np.exp(shape * (log_values - np.exp(log_values) + 1))
    return mean * np.exp(log_values), weights / weights.sum()
