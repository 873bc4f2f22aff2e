"""Pools and upsampling: windows of positions as one, and one position as many."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from modelforge.signal.maxima import maxima
from modelforge.signal.rule import Node, Passed, passed, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise
from modelforge.signal.rules.reshaping import averaged
from modelforge.signal.taps import along_each, spread, taps_of
from modelforge.signal.value import FLAT, Gradient, Shape, Signal


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
    over = prod(one.kernel for one in taps)
    found = maxima(signal, over)
    _, profile = along_each(taps, signal.profile, 2)
    output = replace(
        signal,
        shape=shape,
        mean=found.mean,
        second=found.second,
        along=found.along,
        across=found.across,
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
            gradient, energy=share * gradient.energy, along=share**2 * gradient.along, tilt=found.tilt, profile=profile
        )

    return passed(output, back)


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
