"""Tables that vectors are looked up in, and what positions add."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.core.tensors import TensorValue
from modelforge.signal.maxima import Windows, maxima
from modelforge.signal.moments import normal_points
from modelforge.signal.own_values import normal
from modelforge.signal.rule import Node, Passed, Unpredictable, Values, passed, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise
from modelforge.signal.sums import mixed_profile, summed_drift
from modelforge.signal.value import Gradient, Signal

LARGE = 512
"""Positions and features of a table of waves that stand for more of them."""


def _rows(node: Node) -> Values:
    """The values of a table of which rows that are too long are shortened as they are looked up.

    Formula: E w² ← E min(|w|², c²)/n, |w|² a gamma law (by the cube root of Wilson and Hilferty 1931)
    """
    weight, arguments = node.values("weight"), node.layer.arguments
    longest = arguments["max_norm"]
    if longest is None or weight.second == 0:
        return weight
    if arguments["norm_type"] != 2:
        raise Unpredictable("its norm is not Euclidean")
    width = arguments["embedding_dim"]
    mean, variance = width * weight.second, width * (2 * weight.std**4 + 4 * (weight.std * weight.mean) ** 2)
    z, chances = normal_points()
    share = variance / mean**2 / 9
    lengths = mean * np.maximum(0.0, 1 - share + z * sqrt(share)) ** 3
    factor = sqrt(float(np.minimum(lengths, longest**2) @ chances) / mean)
    return replace(weight, mean=factor * weight.mean, std=factor * weight.std)


@register_signal("Embedding", own_values=normal)
def embedding(node: Node) -> Passed:
    """A drawn vector for each whole number, which come uniformly: two are the same once in as many as there are.

    Formula: E y² = E w², E y y′ = (E w)² + Var w / rows
    """
    weight, rows = _rows(node), node.layer.arguments["num_embeddings"]
    # Where a row stands for padding, it is 0.
    drawn = 1.0 if node.layer.arguments["padding_idx"] is None else 1 - 1 / rows
    pair = drawn**2 * weight.mean**2 + drawn * weight.std**2 / rows
    shape = node.shape(-1)
    table = (node.parameters["weight"].path, 1.0)
    mean, second = drawn * weight.mean, drawn * weight.second
    output = Signal(shape, mean, second, pair, pair, chance=1 / shape.num_units, table=table)
    # Equal numbers have equal vectors: no more than `rows` are drawn; how often the 0 comes is chance, too.
    count = shape.num_examples * shape.num_positions
    noise = 2 * (1 / count + 1 / rows) / shape.num_units + (1 - drawn) / drawn / count
    return Passed({(): replace(output, noise=noise)}, lambda gradients: (None,))


@register_signal("EmbeddingBag", own_values=normal)
def bag(node: Node) -> Passed:
    """Sums, means or maxima of the vectors of whole numbers that come uniformly; maxima of normal ones.

    Formula: E y² = L·E w² + L·(L - 1)·E w w′ for sums of L vectors, 1/L² of that for means
    """
    weight, arguments = _rows(node), node.layer.arguments
    value = node.layer.inputs[0]
    if len(node.signals) > 1 or not isinstance(value, TensorValue) or len(value.shape) < 2:
        raise Unpredictable("its bags have weights, or sizes that no shape says")
    length, rows, shape = value.shape[-1], arguments["num_embeddings"], node.shape(-1)
    pair = weight.mean**2 + weight.std**2 / rows
    one = Signal(shape, weight.mean, weight.second, pair, pair)
    if arguments["mode"] == "max":
        found = maxima(one, Windows(((float(length), 1.0),), ((0.0, 1.0),)))
        mean, second, pairs = found.mean, found.second, found.across
    else:
        scale = 1 / length if arguments["mode"] == "mean" else 1.0
        mean = scale * length * weight.mean
        second = scale**2 * (length * weight.second + length * (length - 1) * pair)
        pairs = scale**2 * length**2 * pair
    output = Signal(shape, mean, second, pairs, pairs, chance=1 / shape.num_units)
    return Passed({(): replace(output, noise=normal_noise(output))}, lambda gradients: (None,))


def _added(signal: Signal, second: float, mean: float, along: float, across: float, noise: float) -> Signal:
    """The signal with vectors added that do not depend on it."""
    crossed = 2 * signal.mean * mean
    total = signal.second + second + crossed
    drift, total_noise = summed_drift([(signal.second, signal), (second, replace(signal, drift=0.0, noise=noise))])
    return replace(
        signal,
        mean=signal.mean + mean,
        second=total,
        along=signal.along + along + crossed,
        across=signal.across + across + crossed,
        drift=drift,
        noise=total_noise,
        chance=signal.chance * (signal.second / total) ** 2 if total else 0.0,
        lift=signal.lift * signal.second / total if total else 0.0,
        swing=signal.swing * (signal.second / total) ** 2 if total else 0.0,
        level=signal.level and signal.level.raised(second / signal.second) if signal.second else None,
        weight_gain=None,
        preactivation=None,
        scatter=None,
        profile=mixed_profile([(signal.second, signal.profile), (second, {})], signal.shape.sizes),
        later=mixed_profile([(abs(signal.along), signal.later), (abs(along), {})], signal.shape.sizes),
    )


@register_signal("PositionEmbedding")
def positions(node: Node) -> Passed:
    """A drawn vector for each position, the same in all examples: E y² = E x² + E w²."""
    signal, weight = as_units(node.signal, -1), node.values("weight")
    steps, square = signal.shape.num_positions, weight.mean**2
    noise = 2 / (steps * signal.shape.num_units)
    output = _added(signal, weight.second, weight.mean, square, square + weight.std**2 / steps, noise)
    return passed(output, lambda gradient: gradient)


@register_signal("SinusoidalEmbedding")
def waves(node: Node) -> Passed:
    """Sines and cosines of the position: E y² = E x² + ½ or so."""
    signal = as_units(node.signal, -1)
    steps, width = min(LARGE, signal.shape.num_positions), min(LARGE, signal.shape.num_units)
    angles = np.arange(steps)[:, None] * 10_000.0 ** (-np.arange(0, width, 2) / width)
    table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    second, across = float((table**2).mean()), float((table.mean(axis=0) ** 2).mean())
    along = (across * steps - second) / max(1, steps - 1)
    return passed(_added(signal, second, float(table.mean()), along, across, 0.0), lambda gradient: gradient)


@register_signal("SegmentEmbedding")
def segments(node: Node) -> Passed:
    """A drawn vector, the same at all positions of a segment; all are taken to belong to one."""
    signal, weight = as_units(node.signal, -1), node.values("weight")
    noise = 2 / signal.shape.num_units
    output = _added(signal, weight.second, weight.mean, weight.second, weight.second, noise)
    rest = (None,) * (len(node.signals) - 1)
    return Passed({(): output}, lambda gradients: (gradients[()], *rest))


@register_signal("ClassToken")
def class_token(node: Node) -> Passed:
    """A drawn vector before the first position."""
    signal, weight = as_units(node.signal, -1), node.values("weight")
    shape = node.shape(-1)
    steps = shape.num_positions
    share = (steps - 1) / steps
    energy = np.full(steps, signal.second)
    energy[0] = weight.second
    second = float(energy.mean())
    pairs = share * (steps - 2) / max(1, steps - 1)  # of two positions, neither the token's
    output = replace(
        signal,
        shape=shape,
        mean=share * signal.mean + weight.mean / steps,
        second=second,
        along=pairs * signal.along + (1 - pairs) * signal.mean * weight.mean,
        across=share**2 * signal.across + weight.second / steps**2,
        placed=share * signal.placed,
        level=None,
        profile=FrozenDict({1: energy / second}) if second else signal.profile,
        weight_gain=None,
        preactivation=None,
        scatter=None,
    )
    output = replace(output, noise=max(signal.noise, normal_noise(output)))

    def back(gradient: Gradient) -> Gradient:
        profile = {axis: it for axis, it in gradient.profile.items() if axis != 1}
        factor = 1.0
        if 1 in gradient.profile:
            rest = gradient.profile[1][1:]
            factor = float(rest.mean())
            profile |= {1: rest / factor} if factor else {}
        return replace(gradient, energy=factor * gradient.energy, profile=FrozenDict(profile))

    return passed(output, back)


@register_signal("RelativePositionBias")
def relative(node: Node) -> Passed:
    """A drawn number for each head and distance, for the logits of attention."""
    weight = node.values("weight")
    shape = node.shape(1)
    output = Signal(shape, weight.mean, weight.second, weight.mean**2, weight.second)
    return Passed({(): replace(output, noise=normal_noise(output))}, lambda gradients: (None,))
