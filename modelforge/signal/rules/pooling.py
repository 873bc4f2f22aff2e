"""Pools and upsampling: windows of positions as one, and one position as many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.maxima import Windows, maxima
from modelforge.signal.rule import Node, Passed, passed, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise
from modelforge.signal.rules.reshaping import averaged
from modelforge.signal.taps import Taps, along_each, spread, taps_of
from modelforge.signal.value import FLAT, Gradient, Profile, Shape, Signal


@register_signal("AvgPool1d", "AvgPool2d", "AvgPool3d")
def average_pool(node: Node) -> Passed:
    """Means over windows of positions."""
    signal = as_units(node.signal, 1)
    over = prod(spread(node.layer.arguments["kernel_size"], len(signal.shape.sizes) - 2))
    return averaged(signal, node.shape(1), over)


@register_signal("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d")
def adaptive_average_pool(node: Node) -> Passed:
    """Means over as many windows as the output has positions."""
    signal, shape = as_units(node.signal, 1), node.shape(1)
    over = signal.shape.num_positions // shape.num_positions
    return averaged(signal, shape, over) if over else _repeated(signal, shape)


@register_signal("MaxPool1d", "MaxPool2d", "MaxPool3d")
def max_pool(node: Node) -> Passed:
    """The largest of each window, of normal numbers or of an activation of such.

    Formula: E max and E max² of r exchangeable numbers: given what they share, order statistics of independent ones;
        E g² ← E g²/r for windows side by side, all of it to the maxima
    """
    signal, shape, arguments = as_units(node.signal, 1), node.shape(1), node.layer.arguments
    taps = taps_of(arguments, signal.shape.sizes[2:], shape.sizes[2:])
    found = maxima(signal, _windows(taps))
    _, profile = along_each(taps, signal.profile, 2)
    profile = _times(profile, _by_place(signal, taps))
    output = replace(
        signal,
        shape=shape,
        mean=found.mean,
        second=found.second,
        along=found.along,
        across=found.across,
        third=found.third,
        tail=2.0,
        weight_gain=None,
        behind=None,
        profile=profile,
    )
    output = replace(output, noise=max(signal.noise, normal_noise(output)))
    share = shape.num_positions / signal.shape.num_positions

    def back(gradient: Gradient) -> Gradient:
        profile = {
            axis: np.repeat(it, one.stride)[: one.size]
            for axis, one in enumerate(taps, start=2)
            if (it := gradient.profile.get(axis)) is not None and len(it) * one.stride >= one.size
        }
        return replace(
            gradient,
            energy=share * gradient.energy,
            along=share**2 * gradient.along,
            across=share**2 * gradient.across,
            tilt=found.tilt,
            through=None,
            profile=profile,
        )

    return passed(output, back)


def _windows(taps: Sequence[Taps]) -> Windows:
    """How many elements the windows have, fewer at borders, and how many two windows have in common."""
    sizes: dict[float, float] = {1.0: 1.0}
    common: dict[tuple[float, bool], float] = {(1.0, True): 1.0}
    for one in taps:
        read, times = np.unique((one.reads >= 0).sum(axis=1), return_counts=True)
        sizes = _products(sizes, {float(size): count / one.windows for size, count in zip(read, times, strict=True)})
        count = one.windows
        apart = {step: (2 if step else 1) * (count - step) / count**2 for step in range(min(count, one.kernel))}
        both = {(max(0.0, one.read - step * one.stride), step == 0): share for step, share in apart.items()}
        far = 1 - sum(both.values())
        both[0.0, False] = both.get((0.0, False), 0.0) + far
        paired: dict[tuple[float, bool], float] = {}
        for (size, same), share in common.items():
            for (more, here), part in both.items():
                key = (size * more, same and here)
                paired[key] = paired.get(key, 0.0) + share * part
        common = paired
    pairs = {size: share for (size, same), share in common.items() if not same}
    whole = sum(pairs.values())
    shares = tuple((size, share / whole) for size, share in pairs.items() if share > 0) if whole > 0 else ((0.0, 1.0),)
    return Windows(tuple(sizes.items()), shares)


def _products(first: Mapping[float, float], second: Mapping[float, float]) -> dict[float, float]:
    """The products of two independent numbers, each with how likely it is."""
    found: dict[float, float] = {}
    for size, share in first.items():
        for more, part in second.items():
            found[size * more] = found.get(size * more, 0.0) + share * part
    return found


def _by_place(signal: Signal, taps: Sequence[Taps]) -> Profile:
    """The energies of maxima along each dimension, where windows at borders have fewer elements."""
    shapes: dict[int, np.ndarray] = {}
    for axis, one in enumerate(taps, start=2):
        read = (one.reads >= 0).sum(axis=1)
        if len(set(read.tolist())) == 1:
            continue
        others = prod(other.read for other in taps if other is not one)
        energy = {size: maxima(signal, Windows(((size * others, 1.0),), ((0.0, 1.0),))).second for size in set(read)}
        shape = np.array([energy[size] for size in read])
        shapes[axis] = shape / shape.mean()
    return FrozenDict(shapes)


def _times(first: Profile, second: Profile) -> Profile:
    """Both profiles at once."""
    shapes = {axis: np.asarray(first.get(axis, 1.0) * second.get(axis, 1.0)) for axis in {*first, *second}}
    return FrozenDict({axis: shape / shape.mean() for axis, shape in shapes.items()})


@register_signal("Upsample", "UpsamplingNearest2d")
def upsample(node: Node) -> Passed:
    """Each position several times; other modes than `nearest` are taken as that.

    Formula: E y² = E x²; E g² ← r·(E g² + (r - 1)·E g g′) for r copies
    """
    mode = node.layer.arguments.get("mode", "nearest")
    note = "" if mode.startswith("nearest") else f"`{mode}` taken as `nearest`"
    return replace(_repeated(as_units(node.signal, 1), node.shape(1)), note=note)


def _repeated(signal: Signal, shape: Shape) -> Passed:
    """Each position several times, side by side."""
    copies = shape.num_positions // signal.shape.num_positions
    inside = (copies - 1) / max(1, shape.num_positions - 1)
    output = replace(
        signal,
        shape=shape,
        along=inside * signal.second + (1 - inside) * signal.along,
        profile=FLAT,
        behind=None,
        weight_gain=None,
    )

    def back(gradient: Gradient) -> Gradient:
        energy = copies * (gradient.energy + (copies - 1) * gradient.along)
        return replace(gradient, energy=energy, along=copies**2 * gradient.along, profile=FLAT)

    return passed(output, back)
