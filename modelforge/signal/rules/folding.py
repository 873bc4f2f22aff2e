"""Unfold and Fold: windows side by side as units, and back."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from modelforge.signal.elements import Elements
from modelforge.signal.rule import Node, Passed, Unpredictable, passed, register_signal
from modelforge.signal.rules.convolution import by_windows
from modelforge.signal.rules.dense import as_units, normal_noise
from modelforge.signal.taps import along_each, spread, taps_of
from modelforge.signal.value import FLAT, Gradient


@register_signal("Unfold")
def unfold(node: Node) -> Passed:
    """All elements of a window as units; padding has no energy.

    Formula: E y² = s·E x², s the share of taps that read the signal; E g² ← Σ of E g² over all windows with the element
    """
    signal, arguments = as_units(node.signal, 1), node.layer.arguments
    sizes = signal.shape.sizes[2:]
    taps = taps_of(arguments, sizes, _windows(node, sizes))
    share, _ = along_each(taps, signal.profile)
    reach = prod(one.reach for one in taps)
    inside = prod(one.read / one.kernel for one in taps)
    seen = by_windows(signal, share, reach, node.shape(1), inside)
    output = seen.remade(
        node.shape(1),
        mean=inside * signal.mean,
        placed=seen.placed,
        profile=FLAT,
        later=FLAT,
        elements=Elements(copies=True) if any(one.overlap for one in taps) else None,
    )

    def back(gradient: Gradient) -> Gradient:
        # A window is one position of what is made, and its profile is over all of them.
        reached, profile = along_each(taps, FLAT, back=True)
        energy = reached * gradient.energy
        sent = replace(gradient, energy=energy, along=0.0, across=0.0, profile=profile)
        return replace(sent, through=None, radial=None)

    return passed(output, back)


@register_signal("Fold")
def fold(node: Node) -> Passed:
    """Windows put back where they were, added up where they overlap.

    Formula: E y² = r·E x² + (E r² - r)·(E x)², r windows with the element; E g² ← s·E g², s the share of taps inside
    """
    if node.signal.elements is not None and node.signal.elements.copies:
        raise Unpredictable("it adds up copies of one element, which overlapping windows hold")
    signal, arguments, shape = as_units(node.signal, 1), node.layer.arguments, node.shape(1)
    sizes = shape.sizes[2:]
    taps = taps_of(arguments, sizes, _windows(node, sizes))
    reached, profile = along_each(taps, FLAT, back=True)
    squares = prod(float((one.backward(np.ones(one.windows)) ** 2).mean()) for one in taps)
    square = (squares - reached) * signal.mean**2
    output = signal.remade(
        shape,
        mean=reached * signal.mean,
        second=reached * signal.second + square,
        # Two positions are of different units before but for those of whole strides: taken as all different.
        along=reached**2 * signal.mean**2,
        across=reached * signal.across + square,
        placed=reached * signal.placed,
        third=reached * signal.third,
        profile=profile,
        later=FLAT,
    )
    output = replace(output, noise=max(signal.noise, normal_noise(output)))

    def back(gradient: Gradient) -> Gradient:
        share, _ = along_each(taps, gradient.profile)
        return replace(gradient.amplified(share), profile=FLAT, through=None, radial=None)

    return passed(output, back)


def _windows(node: Node, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The number of windows along each dimension."""
    arguments, rank = node.layer.arguments, len(sizes)
    fields = (spread(arguments[name], rank) for name in ("kernel_size", "stride", "padding", "dilation"))
    return tuple(
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, padding, dilation in zip(sizes, *fields, strict=True)
    )
