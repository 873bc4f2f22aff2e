"""Pools and upsampling: windows of positions as one, and one position as many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn.functional import avg_pool1d, interpolate

from modelforge.core.frozen import FrozenDict
from modelforge.signal.maxima import Maxima, Windows, maxima
from modelforge.signal.resampled import adaptive_means, matrix_of, resampled
from modelforge.signal.rule import Index, Node, Passed, Unpredictable, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise
from modelforge.signal.shape import fading
from modelforge.signal.taps import Taps, spread, taps_of, widest
from modelforge.signal.value import FLAT, Gradient, Profile, Signal, inherited


@register_signal("AvgPool1d", "AvgPool2d", "AvgPool3d", averages=True)
def average_pool(node: Node) -> Passed:
    """Means over windows of positions, padding counted or not."""
    signal, arguments = as_units(node.signal, 1), node.layer.arguments
    rank = len(signal.shape.sizes) - 2
    kernel = spread(arguments["kernel_size"], rank)
    steps = zip(kernel, spread(arguments["stride"] or kernel, rank), spread(arguments["padding"], rank), strict=True)
    matrices = [
        matrix_of(partial(_mean_pool, arguments, *numbers), size)
        for numbers, size in zip(steps, signal.shape.sizes[2:], strict=True)
    ]
    if arguments.get("divisor_override"):
        matrices[0] = matrices[0] * prod(kernel) / arguments["divisor_override"]
    return resampled(signal, node.shape(1), matrices)


def _mean_pool(arguments: Mapping[str, Any], kernel: int, stride: int, padding: int, x: Tensor) -> Tensor:
    return avg_pool1d(x, kernel, stride, padding, arguments["ceil_mode"], arguments["count_include_pad"])


@register_signal("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", averages=True)
def adaptive_average_pool(node: Node) -> Passed:
    """Means over as many windows as the output has positions."""
    signal, shape = as_units(node.signal, 1), node.shape(1)
    sizes = zip(signal.shape.sizes[2:], shape.sizes[2:], strict=True)
    return resampled(signal, shape, [adaptive_means(size, count) for size, count in sizes])


@register_signal(
    *("MaxPool1d", "MaxPool2d", "MaxPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d"),
    *("FractionalMaxPool2d", "FractionalMaxPool3d"),
)
def max_pool(node: Node) -> Passed:
    """The largest of each window, of normal numbers or of an activation of such.

    Formula: E max and E max² of r exchangeable numbers: given what they share, order statistics of independent ones;
        E g² ← E g²/r for windows side by side, all of it to the maxima
    """
    index: Index = (0,) if isinstance(node.layer.output, tuple) else ()
    signal, shape, arguments = as_units(node.signal, 1), node.shape(1, index), node.layer.arguments
    sizes, made = signal.shape.sizes[2:], shape.sizes[2:]
    if "kernel_size" in arguments and "stride" in arguments:
        taps = taps_of(arguments, sizes, made)
    else:
        kernels = spread(arguments.get("kernel_size", 0), len(sizes))
        taps = tuple(
            Taps(
                size, count, kernel or widest(size, count), size // count, 0, 1, "fractional" if kernel else "adaptive"
            )
            for size, count, kernel in zip(sizes, made, kernels, strict=True)
        )
    if signal.elements is not None and signal.elements.bent and signal.preactivation is None:
        raise Unpredictable(f"it reads {signal.elements.bent}")
    found = _maxima(signal, taps)
    profile = _times(_read(taps, signal.profile), _by_place(signal, taps))
    output = signal.remade(
        shape,
        mean=found.mean,
        second=found.second,
        along=found.along,
        across=found.across,
        third=found.third,
        near=_near(signal, taps, found),
        tail=2.0,
        profile=profile,
        later=FLAT,
    )
    output = replace(output, noise=max(signal.noise, normal_noise(output)))
    share = shape.num_positions / signal.shape.num_positions

    def back(gradient: Gradient) -> Gradient:
        return replace(
            inherited(gradient),
            energy=share * gradient.energy,
            along=share**2 * gradient.along,
            across=share**2 * gradient.across,
            tilt=found.tilt,
            through=None,
            radial=None,
            profile=_sent(taps, gradient.profile),
        )

    outputs: dict[Index, Signal] = {index: output}
    if index:
        outputs[1,] = Signal(node.shape(1, (1,)), 0.0, 0.0, 0.0, 0.0)  # places, of which only `unpool` makes something
    return Passed(outputs, lambda gradients: (back(gradients[index]),))


@register_signal("MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d")
def unpool(node: Node) -> Passed:
    """Each element at the place that its index says, zeros around: E y² = s·E x², s the share of places."""
    signal, shape = as_units(node.signal, 1), node.shape(1)
    share = signal.shape.num_positions / shape.num_positions
    pairs = {name: share**2 * getattr(signal, name) for name in ("along", "across")}
    output = signal.remade(
        shape,
        mean=share * signal.mean,
        second=share * signal.second,
        **pairs,
        tail=(signal.tail + 1) / share - 1,
        profile=FLAT,
        later=FLAT,
    )

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        return (replace(gradients[()], profile=FLAT, through=None, radial=None), *(None for _ in node.signals[1:]))

    return Passed({(): output}, back)


def _maxima(signal: Signal, taps: Sequence[Taps]) -> Maxima:
    """The maxima of windows, whose elements may be more alike than others are."""
    windows = _windows(taps)
    found, near = maxima(signal, windows), signal.near if signal.preactivation is None else signal.preactivation.near
    count = prod(one.kernel for one in taps)
    if near <= 0 or count == 1:
        return found
    apart = [np.abs(np.subtract.outer(np.arange(one.kernel), np.arange(one.kernel))) for one in taps]
    pairs = prod(float(fading(near, distance).mean()) for distance in apart)
    inside = (pairs * count - 1) / (count - 1)
    alike = maxima(_raised(signal, inside), windows)
    ratio = (alike.second - alike.mean**2) / (found.second - found.mean**2)
    square = alike.mean**2
    along, across = (square + ratio * (item - found.mean**2) for item in (found.along, found.across))
    return replace(alike, along=along, across=across)


def _near(signal: Signal, taps: Sequence[Taps], found: Maxima) -> float:
    """How much more alike neighbours are than any two maxima: their windows overlap, or what they read is alike."""
    whole, apart = prod(one.read for one in taps), found.second - found.along
    if apart <= 0:
        return 0.0
    common = [max(0.0, one.read - one.stride) * whole / one.read for one in taps]
    alike = {both: maxima(signal, Windows(((whole, 1.0),), ((both, 1.0),))).along for both in {*common} - {0.0}}
    own = [max(0.0, alike.get(both, found.along) - found.along) / apart for both in common]
    nears = [part + (1 - part) * float(fading(signal.near, one.stride)) for part, one in zip(own, taps, strict=True)]
    return sum(nears) / len(nears)


def _raised(signal: Signal, inside: float) -> Signal:
    """The signal with any two positions as alike as those of a window."""
    preactivation = signal.preactivation
    if preactivation is None:
        along = max(0.0, signal.correlation(signal.along))
        return replace(signal, along=signal.mean**2 + signal.variance * (along + (1 - along) * inside))
    along = max(0.0, preactivation.along)
    return replace(signal, preactivation=replace(preactivation, along=along + (1 - along) * inside))


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


def _read(taps: Sequence[Taps], profile: Profile) -> Profile:
    """The mean energy of what each window reads, along each dimension; padding is never the largest."""
    shapes: dict[int, np.ndarray] = {}
    for axis, one in enumerate(taps, start=2):
        if axis in profile:
            kept = one.reads >= 0
            energy = np.where(kept, profile[axis][one.reads], 0.0).sum(axis=1) / kept.sum(axis=1)
            shapes[axis] = energy / energy.mean()
    return FrozenDict(shapes)


def _sent(taps: Sequence[Taps], profile: Profile) -> Profile:
    """The energy that positions get from windows, along each dimension: each window has one of its own to send to."""
    shapes: dict[int, np.ndarray] = {}
    for axis, one in enumerate(taps, start=2):
        kept = one.reads >= 0
        each = profile.get(axis, np.ones(one.windows)) / kept.sum(axis=1)
        weights = np.broadcast_to(each[:, None], kept.shape)[kept]
        energy = np.bincount(one.reads[kept], weights=weights, minlength=one.size)
        shapes[axis] = energy / energy.mean()
    return FrozenDict({axis: shape for axis, shape in shapes.items() if not np.allclose(shape, 1.0)})


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


@register_signal("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d")
def upsample(node: Node) -> Passed:
    """Positions between positions, each a sum of its neighbours with fixed weights; or each position several times."""
    signal, shape, arguments = as_units(node.signal, 1), node.shape(1), node.layer.arguments
    bilinear = node.layer.type == "UpsamplingBilinear2d"
    mode = arguments.get("mode", "bilinear" if bilinear else "nearest")
    corners = True if bilinear else arguments.get("align_corners")
    matrices = [
        matrix_of(partial(_between, mode, corners, made / read, scale), read)
        for read, made, scale in zip(
            signal.shape.sizes[2:],
            shape.sizes[2:],
            spread(arguments.get("scale_factor"), len(shape.sizes) - 2),
            strict=True,
        )
    ]
    return resampled(signal, shape, matrices)


def _between(mode: str, corners: bool | None, ratio: float, scale: float | None, x: Tensor) -> Tensor:
    """Positions between those of the last dimension, as torch interpolates them."""
    size = None if scale is not None else round(x.shape[-1] * ratio)
    if mode == "bicubic":
        sizes, scales = (None, (float(scale), 1.0)) if scale is not None else ((size or 1, 1), None)
        return interpolate(x.unsqueeze(-1), sizes, scales, mode, align_corners=corners).squeeze(-1)
    mode = mode if mode.startswith("nearest") else "linear"
    return interpolate(x, size, scale, mode, align_corners=None if mode != "linear" else corners)
