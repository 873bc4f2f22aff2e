"""Dropouts: elements, channels or examples that are left out by chance."""

from __future__ import annotations

from dataclasses import replace

from modelforge.signal.rule import Node, Passed, passed, register_signal
from modelforge.signal.scatter import thinned
from modelforge.signal.value import Gradient, Shape, Signal

LEAST = -1.7580993408473766
"""What SELU gives for -∞, -λα, which alpha dropout puts in place of what it leaves out."""


def _rate(node: Node) -> float:
    return node.layer.arguments["p"] if node.training else 0.0


def _nothing(signal: Signal) -> Passed:
    """What is left where everything is dropped."""
    return passed(
        replace(signal.scaled(0.0), noise=0.0, drift=0.0, lift=0.0, scatter=None),
        lambda gradient: replace(gradient.scaled(0.0), noise=0.0, scatter=None),
    )


@register_signal("Dropout")
def dropout(node: Node) -> Passed:
    """Elements are zeroed by chance, and the others divided by what is left.

    Formula: E y² = E x² / (1 - p), pairs and mean stay; E g² ← E g² / (1 - p)
    Source: Schoenholz et al. 2017, arXiv:1611.01232, section 5
    """
    p, signal = _rate(node), node.signal
    if p == 1:
        return _nothing(signal)
    rate = p / (1 - p) / (signal.shape.num_units * signal.shape.num_positions * signal.shape.num_examples)

    def back(gradient: Gradient) -> Gradient:
        noise = gradient.noise + rate * (gradient.tail + 1)
        return replace(_sent(gradient, signal, p), energy=gradient.energy / (1 - p), noise=noise)

    noise = signal.noise + rate * (signal.tail + 1)
    return passed(replace(_thinned(signal, p), second=signal.second / (1 - p), noise=noise), back)


def _sent(gradient: Gradient, signal: Signal, p: float) -> Gradient:
    """What is left of elements of a gradient, and how examples differ where that is followed."""
    tail = (gradient.tail + 1) / (1 - p) - 1
    if signal.scatter is None:
        return replace(gradient, tail=tail)
    scatter, units = gradient.by_example(signal.shape), signal.shape.num_units
    return replace(gradient, tail=tail, scatter=replace(scatter, noise=thinned(scatter.noise, 1 / (1 - p), units)))


def _thinned(signal: Signal, p: float) -> Signal:
    """The higher moments of what is left of elements, and how examples differ where that is followed."""
    scatter = signal.scatter
    if scatter is not None:
        scatter = replace(scatter, noise=thinned(scatter.noise, 1 / (1 - p), signal.shape.num_units))
    cube = signal.third + 3 * signal.mean * signal.second - 2 * signal.mean**3  # E x³
    third = cube / (1 - p) ** 2 - 3 * signal.mean * signal.second / (1 - p) + 2 * signal.mean**3
    return replace(signal, third=third, tail=(signal.tail + 1) / (1 - p) - 1, behind=None, scatter=scatter)


@register_signal("Dropout1d", "Dropout2d", "Dropout3d")
def channel_dropout(node: Node) -> Passed:
    """Whole channels of an example are zeroed by chance, and the others divided by what is left.

    Formula: E y² = E x² / (1 - p), pairs of one example alike; E g² ← E g² / (1 - p)
    Source: Tompson et al. 2015, arXiv:1411.4280
    """
    p, signal = _rate(node), node.signal
    if p == 1:
        return _nothing(signal)
    rate = p / (1 - p) / (signal.shape.num_units * signal.shape.num_examples)
    more = {name: getattr(signal, name) / (1 - p) for name in ("second", "along")}

    def back(gradient: Gradient) -> Gradient:
        along = gradient.along / (1 - p)
        noise = gradient.noise + rate * _unevenness(gradient, gradient.energy, signal.shape)
        return replace(_sent(gradient, signal, p), energy=gradient.energy / (1 - p), along=along, noise=noise)

    noise = signal.noise + rate * _unevenness(signal, signal.second, signal.shape)
    return passed(replace(_thinned(signal, p), **more, noise=noise), back)


def _unevenness(item: Signal | Gradient, energy: float, shape: Shape) -> float:
    """E e²/(E e)² of the energies e of channels of an example, means over positions."""
    near = min(1.0, (item.along / energy) ** 2 + item.chance) if energy else 1.0
    return 1 + item.tail * (1 + (shape.num_positions - 1) * near) / shape.num_positions


@register_signal("AlphaDropout", "FeatureAlphaDropout")
def alpha_dropout(node: Node) -> Passed:
    """Elements, or whole channels, get the least value of SELU by chance; mean 0 and variance 1 stay.

    Formula: y = a·(m·x + (1 - m)·α′) + b, a² = 1/(q + α′²·q·p), b = -a·p·α′, P(m = 1) = q = 1 - p; E g² ← a²·q·E g²
    Source: Klambauer et al. 2017, arXiv:1706.02515
    """
    p, signal = _rate(node), node.signal
    if p == 1:  # a constant: torch makes 0 of it
        return _nothing(signal)
    q = 1 - p
    scale = (q + LEAST**2 * q * p) ** -0.5
    shift = -scale * p * LEAST
    inner = q * signal.mean + p * LEAST

    def of(product: float, *, same: bool) -> float:
        both = q * product + p * LEAST**2
        apart = q**2 * product + 2 * q * p * LEAST * signal.mean + p**2 * LEAST**2
        return scale**2 * (both if same else apart) + 2 * scale * shift * inner + shift**2

    channels = node.layer.type == "FeatureAlphaDropout"
    units = signal.shape.num_units * signal.shape.num_examples * (1 if channels else signal.shape.num_positions)
    noise = 3 * p / q / units
    output = replace(
        signal,
        mean=scale * q * signal.mean,
        second=of(signal.second, same=True),
        along=of(signal.along, same=channels),
        across=of(signal.across, same=False),
        placed=scale**2 * q**2 * signal.placed,
        noise=signal.noise + noise,
        third=0.0,
        table=None,
        level=None,
        weight_gain=None,
        behind=None,
        scatter=None,
    )

    def back(gradient: Gradient) -> Gradient:
        along = scale**2 * (q if channels else q**2) * gradient.along
        energy, across = scale**2 * q * gradient.energy, scale**2 * q**2 * gradient.across
        return replace(gradient, energy=energy, along=along, across=across, noise=gradient.noise + noise)

    return passed(output, back)


@register_signal("DropPath")
def drop_path(node: Node) -> Passed:
    """Whole examples are zeroed by chance, and the others divided by what is left.

    Formula: E y² = E x² / (1 - p), pairs of one example alike; E g² ← E g² / (1 - p)
    Source: Huang et al. 2016, arXiv:1603.09382
    """
    p, signal = _rate(node), node.signal
    if p == 1:
        return _nothing(signal)
    noise = p / (1 - p) / node.num_examples
    more = {name: getattr(signal, name) / (1 - p) for name in ("second", "along")}
    return passed(
        replace(signal, **more, noise=signal.noise + noise, behind=None, scatter=None),
        lambda gradient: replace(gradient.scaled(1 / (1 - p)), noise=gradient.noise + noise),
    )
