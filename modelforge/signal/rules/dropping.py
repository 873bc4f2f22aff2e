"""Dropouts: elements, channels or examples that are left out by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import numpy as np

from modelforge.signal.elements import Elements
from modelforge.signal.laws import OF_DROPOUT
from modelforge.signal.rule import Node, Passed, Predict, passed, register_signal
from modelforge.signal.rules.dense import as_units
from modelforge.signal.scatter import GradientScatter, Scatter, lognormal, shared_part, thinned
from modelforge.signal.shape import Shape
from modelforge.signal.value import Gradient, Signal

LEAST = -1.7580993408473766
"""What SELU gives for -∞, -λα, which alpha dropout puts in place of what it leaves out."""


Thinned = Callable[[Signal, float, Node], Passed]
"""What is left of a signal where a share of it is dropped that is neither nothing nor all."""


def _dropping(thinned: Thinned) -> Predict:
    """The rule of a layer that drops a share `p` in training, and nothing in evaluation."""

    @wraps(thinned)
    def predict(node: Node) -> Passed:
        p, signal = node.layer.arguments["p"] if node.training else 0.0, node.signal
        if p == 0:
            return passed(signal, lambda gradient: gradient)
        if p < 1:
            return thinned(signal, p, node)
        return passed(
            replace(signal.times(0.0), noise=0.0, drift=0.0, lift=0.0, scatter=None),
            lambda gradient: replace(gradient.times(0.0), noise=0.0, scatter=None),
        )

    return predict


@register_signal("Dropout", keeps_shared=True)
@_dropping
def dropout(signal: Signal, p: float, node: Node) -> Passed:
    """Elements are zeroed by chance, and the others divided by what is left.

    Formula: E y² = E x² / (1 - p), pairs and mean stay; E g² ← E g² / (1 - p)
    Source: Schoenholz et al. 2017, arXiv:1611.01232, section 5
    """
    rate = p / (1 - p) / (signal.shape.num_units * signal.shape.num_positions * signal.shape.num_examples)

    def back(gradient: Gradient) -> Gradient:
        noise = gradient.noise + rate * (gradient.tail + 1) * signal.shape.fewer(gradient.swing)
        return replace(_sent(gradient, signal, p), energy=gradient.energy / (1 - p), noise=noise)

    noise = signal.noise + rate * (signal.tail + 1) * signal.fewer
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
    third = _cube(signal) / (1 - p) ** 2 - 3 * signal.mean * signal.second / (1 - p) + 2 * signal.mean**3
    tail = (signal.tail + 1) / (1 - p) - 1
    loose = 1 - (1 - signal.loose) * signal.tail / tail if tail > 0 else signal.loose
    elements = replace(signal.elements or Elements(), thinned=True)
    return replace(
        signal,
        third=third,
        tail=tail,
        loose=loose,
        balanced=False,
        preactivation=None,
        scatter=scatter,
        elements=elements,
    )


@register_signal("Dropout1d", "Dropout2d", "Dropout3d")
@_dropping
def channel_dropout(signal: Signal, p: float, node: Node) -> Passed:
    """Whole channels of an example are zeroed by chance, and the others divided by what is left.

    Formula: E y² = E x² / (1 - p), pairs of one example alike; E g² ← E g² / (1 - p)
    Source: Tompson et al. 2015, arXiv:1411.4280
    """
    signal = as_units(signal, 1)
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
    near = _near(item, energy)
    own = 1 + item.tail * (1 + (shape.num_positions - 1) * near) / shape.num_positions
    return own * (item.fewer if isinstance(item, Signal) else shape.fewer(item.swing))


def _near(item: Signal | Gradient, energy: float) -> float:
    """The squared correlation of two positions of an example."""
    return min(1.0, (item.along / energy) ** 2 + item.chance) if energy else 1.0


@register_signal("AlphaDropout", "FeatureAlphaDropout")
@_dropping
def alpha_dropout(signal: Signal, p: float, node: Node) -> Passed:
    """Elements, or whole channels, get the least value of SELU by chance; mean 0 and variance 1 stay.

    Formula: y = a·(m·x + (1 - m)·α′) + b, a² = 1/(q + α′²·q·p), b = -a·p·α′, P(m = 1) = q = 1 - p; E g² ← a²·q·E g²
    Source: Klambauer et al. 2017, arXiv:1706.02515
    """
    channels = node.layer.type == "FeatureAlphaDropout"
    signal = as_units(signal, 1) if channels else signal
    drop = _Alpha.of(p)
    mean, second = (
        drop.kept * (drop.scale * signal.mean + drop.shift) + p * drop.least,
        drop.energy(signal.second, signal),
    )
    third, tail = drop.third(signal), drop.fourth(signal) / second**2 - 1
    power = drop.growth(signal.second, signal) / second
    places = signal.shape.num_positions
    count = signal.shape.num_units * places * signal.shape.num_examples
    noise = power**2 * signal.noise + (tail - power**2 * signal.tail) / count
    if channels:  # all positions of a channel are left out at once
        pairs = p / drop.kept * power**2 * signal.tail * _near(signal, signal.second)
        noise += (places - 1) / count * (drop.chance(second) + pairs)
    output = replace(
        signal,
        mean=mean,
        second=second,
        along=drop.product(signal.along, signal, same=channels),
        across=drop.product(signal.across, signal, same=False),
        placed=(drop.scale * drop.kept) ** 2 * signal.placed,
        drift=power**2 * signal.drift,
        lift=power * signal.lift,
        noise=noise,
        swing=power**2 * signal.swing,
        third=third - 3 * mean * second + 2 * mean**3,
        tail=tail,
        loose=1.0,
        balanced=False,
        table=None,
        level=None,
        weight_gain=None,
        preactivation=None,
        elements=replace(signal.elements or Elements(), bent=OF_DROPOUT),
        scatter=None,
    )
    if signal.scatter is not None:
        examples, own = signal.shape.num_examples, tail / signal.shape.num_units
        shared = shared_part(own, noise, examples)
        made = replace(drop.scatter(signal.scatter, signal), noise=own, shared=shared)
        drift, lift = lognormal(made.log_of_mean(examples))
        output = replace(output, drift=drift, lift=lift, scatter=made)

    def back(gradient: Gradient) -> Gradient:
        sent = _sent(gradient, signal, p)
        if sent.scatter is not None and signal.scatter is not None:
            sent = replace(sent, scatter=drop.sent(sent.scatter, signal.scatter, signal))
        uneven = (gradient.tail + 1) * signal.shape.fewer(gradient.swing)
        if channels:
            uneven = places * _unevenness(gradient, gradient.energy, signal.shape)
        factor = drop.scale**2 * drop.kept
        return replace(
            sent,
            energy=factor * gradient.energy,
            along=factor * (1 if channels else drop.kept) * gradient.along,
            across=factor * drop.kept * gradient.across,
            noise=gradient.noise + p / drop.kept * uneven / count,
        )

    return passed(output, back)


@dataclass(frozen=True, slots=True)
class _Alpha:
    """y = a·x + b with probability q, else y = c."""

    kept: float
    scale: float
    shift: float
    least: float

    @classmethod
    def of(cls, p: float) -> _Alpha:
        """That of alpha dropout."""
        kept = 1 - p
        scale = (kept + LEAST**2 * kept * p) ** -0.5
        return cls(kept, scale, -scale * p * LEAST, scale * kept * LEAST)

    def energy(self, energy: Any, signal: Signal) -> Any:
        """E y² where x has an energy, and a mean that goes with its square root."""
        a, b = self.scale, self.shift
        inner = a**2 * energy + 2 * a * b * self._mean(energy, signal) + b**2
        return self.kept * inner + (1 - self.kept) * self.least**2

    def growth(self, energy: Any, signal: Signal) -> Any:
        """d E y² / d ln E x²."""
        return self.kept * self.scale * (self.scale * energy + self.shift * self._mean(energy, signal))

    def _mean(self, energy: Any, signal: Signal) -> Any:
        return signal.mean * np.sqrt(energy / signal.second) if signal.second else 0.0

    def product(self, product: float, signal: Signal, *, same: bool) -> float:
        """E y y′ from E x x′, both left out at once or each by itself."""
        a, b, c, q = self.scale, self.shift, self.least, self.kept
        both = a**2 * product + 2 * a * b * signal.mean + b**2
        if same:
            return q * both + (1 - q) * c**2
        return q**2 * both + 2 * q * (1 - q) * c * (a * signal.mean + b) + (1 - q) ** 2 * c**2

    def chance(self, second: float) -> float:
        """Relative variance of y² by what is left out, from E y²."""
        kept, least = (second - (1 - self.kept) * self.least**2) / self.kept, self.least**2
        return (self.kept * kept**2 + (1 - self.kept) * least**2) / second**2 - 1

    def third(self, signal: Signal) -> float:
        """E y³."""
        a, b, m, x2 = self.scale, self.shift, signal.mean, signal.second
        inner = a**3 * _cube(signal) + 3 * a**2 * b * x2 + 3 * a * b**2 * m + b**3
        return self.kept * inner + (1 - self.kept) * self.least**3

    def fourth(self, signal: Signal) -> float:
        """E y⁴."""
        a, b, m, x2 = self.scale, self.shift, signal.mean, signal.second
        inner = a**4 * (signal.tail + 1) * x2**2 + 4 * a**3 * b * _cube(signal)
        inner += 6 * a**2 * b**2 * x2 + 4 * a * b**3 * m + b**4
        return self.kept * inner + (1 - self.kept) * self.least**4

    def scatter(self, scatter: Scatter, signal: Signal) -> Scatter:
        """How examples differ: less than before, as what is put in has the same energy in all."""
        made = self.energy(signal.second * np.exp(scatter.logs), signal)
        return replace(scatter, logs=np.log(made / self.energy(signal.second, signal)), transitions=None)

    def sent(self, gradient: GradientScatter, before: Scatter, signal: Signal) -> GradientScatter:
        """How gradients differ: of the one along y, the part along x is left.

        Formula: r ← 1 + q·(a·E x² + b·E x)²/(E x²·E y²)·(r - 1)
        """
        energy = signal.second * np.exp(before.logs)
        part = (self.growth(energy, signal) / self.scale) ** 2 / (self.kept * energy * self.energy(energy, signal))
        return replace(gradient, radial=1 + part * (gradient.radial - 1))


def _cube(signal: Signal) -> float:
    """E x³."""
    return signal.third + 3 * signal.mean * signal.second - 2 * signal.mean**3


@register_signal("DropPath")
@_dropping
def drop_path(signal: Signal, p: float, node: Node) -> Passed:
    """Whole examples are zeroed by chance, and the others divided by what is left.

    Formula: E y² = E x² / (1 - p), pairs of one example alike; E g² ← E g² / (1 - p)
    Source: Huang et al. 2016, arXiv:1603.09382
    """
    count, arriving = node.num_examples, signal.by_example()
    more = {name: getattr(signal, name) / (1 - p) for name in ("second", "along")}
    made = arriving.thinned(1 - p)
    drift, lift = made.drift_of_mean(count, signal.noise)
    output = replace(signal, **more, drift=drift, lift=lift, preactivation=None, scatter=made)

    def back(gradient: Gradient) -> Gradient:
        before = gradient.by_example(signal.shape)
        scatter = before.thinned(1 - p)
        drift, lift = lognormal(scatter.log_of_mean(arriving, count))
        sent = gradient.amplified(before.mean / (1 - p))
        return replace(sent, drift=drift, lift=lift, scatter=scatter)

    return passed(output, back)
