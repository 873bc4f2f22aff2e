"""Layers with two inputs, or two halves of one, that multiply or are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import exp, lgamma, prod

import torch

from modelforge.core.matrix import Activation
from modelforge.signal.moments import pair, single
from modelforge.signal.own_values import of_bilinear
from modelforge.signal.rule import Index, Node, Passed, Unpredictable, passed, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise, refuse_mean
from modelforge.signal.shape import Shape
from modelforge.signal.value import FLAT, Gradient, Signal

ALONG_THE_SIGNAL = "its gradient points along the signal, so that gradients before are larger than predicted"
SIGMOID = Activation("sigmoid", torch.sigmoid)


@register_signal("GLU")
def gated(node: Node) -> Passed:
    """One half times the sigmoid of the other, of normal numbers that do not depend on each other.

    Formula: E y² = E x²·E σ(x)²; E g² ← E g²·(E σ² + E x²·E σ′²)/2
    Source: Dauphin et al. 2017, arXiv:1612.08083
    """
    signal = node.signal
    one = single(SIGMOID, signal.mean, signal.variance)
    along, across = (
        pair(SIGMOID, signal.mean, signal.variance, signal.correlation(item)) for item in (signal.along, signal.across)
    )
    at_one, at_two = (
        item * pair(SIGMOID, signal.mean, signal.variance, signal.correlation(item)).product for item in signal.by_place
    )
    axis = node.layer.arguments["dim"] % len(signal.shape.sizes)
    shape, power = node.shape(signal.shape.units), 1 + signal.variance * one.growth / one.second
    kappa = (signal.tail + 1) * one.fourth / one.second**2 - 1
    pairs = signal.overlap(1.0, *(max(0.0, (item / signal.second) ** 2) for item in (signal.along, signal.across)))
    output = signal.remade(
        shape,
        mean=signal.mean * one.mean,
        second=signal.second * one.second,
        along=signal.along * along.product,
        across=signal.over_places(at_one, at_two),
        placed=at_one - at_two,
        drift=signal.drift * power**2,
        lift=signal.lift * power,
        noise=kappa * pairs / shape.num_units,
        tail=kappa,
        third=0.0,
        profile={key: it for key, it in signal.profile.items() if key != axis},
    )

    def back(gradient: Gradient) -> Gradient:
        factor = (one.second + signal.second * one.slope_second) / 2
        # What a norm takes out of y·∂y it takes out of the half that y is linear in.
        half = one.second / factor / 2
        near = (along.product + signal.along * along.slope_product) / 2
        far = (across.product + signal.across * across.slope_product) / 2
        profile = {key: it for key, it in gradient.profile.items() if key != axis}
        noise = gradient.noise + kappa / shape.num_units / shape.num_examples
        return replace(
            gradient,
            energy=factor * gradient.energy,
            along=near * gradient.along,
            across=far * gradient.across,
            noise=noise,
            profile=profile,
            through=None,
            scatter=None,
            pull=gradient.pull and replace(gradient.pull, share=half * gradient.pull.share),
            radial=gradient.radial and replace(gradient.radial, factor=1 - half * (1 - gradient.radial.factor)),
            square=half * gradient.square,
        )

    return passed(output, back)


def _two(node: Node) -> tuple[Signal, Signal]:
    if len(node.signals) < 2 or node.signals[1] is None:
        raise Unpredictable("its second input is not known")
    return as_units(node.signal, -1), as_units(node.signals[1], -1)


@register_signal("Bilinear", own_values=of_bilinear)
def bilinear(node: Node) -> Passed:
    """Sums of all products of an element of each input, weighted.

    Formula: E y² = n₁·n₂·E w²·E x₁²·E x₂² + E b²; E g₁² ← n_out·n₂·E w²·E x₂²·E g²
    """
    both, weight, bias = _two(node), node.values("weight"), node.values("bias")
    first, second = both
    refuse_mean(weight, first.shape.num_units * second.shape.num_units)
    shape = node.shape(-1)
    factor = first.shape.num_units * second.shape.num_units * weight.second
    share = factor * first.second * second.second
    own = sum(signal.drift + signal.noise for signal in both)
    output = Signal(
        shape,
        bias.mean,
        share + bias.second,
        factor * first.along * second.along + bias.second,
        factor * first.across * second.across + bias.second,
        drift=own * (share / (share + bias.second)) ** 2 if share else 0.0,
        chance=max(signal.chance + 1 / signal.shape.num_units for signal in both),
        weight_gain=factor * second.second,
    )
    output = replace(output, noise=normal_noise(output))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        gradient = gradients[()]
        found: list[Gradient] = []
        for read, other in ((first, second), (second, first)):
            factor = shape.num_units * other.shape.num_units * weight.second
            sent = Gradient(
                factor * gradient.energy * other.second,
                factor * gradient.along * other.along,
                factor * gradient.across * other.across,
                drift=gradient.drift + gradient.noise + other.drift + other.noise,
            )
            found.append(replace(sent, noise=2 / read.shape.num_units / (read.shape.num_examples or 1)))
        return tuple(found)

    return Passed({(): output}, back)


@register_signal("CosineSimilarity")
def cosine(node: Node) -> Passed:
    """The cosine of the angle between two vectors that do not depend on each other.

    Formula: E y² = (1 + (n - 1)·c²)/n, c = E x₁·E x₂/√(E x₁²·E x₂²); E g² ← E g²·(1 - E y²)/(n²·E x²)
    """
    first, second, size = _compared(node, node.layer.arguments["dim"])
    sizes = first.second * second.second
    common = (first.mean * second.mean) ** 2

    def of(product: float) -> float:
        return (product + (size - 1) * common) / (size * sizes)

    output = _numbers(node, first.mean * second.mean / sizes**0.5, of(sizes), of(first.along * second.along))
    output = replace(output, across=of(first.across * second.across))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        left = max(0.0, 1 - output.second) / size**2
        return tuple(_spread_out(gradients[()], left / signal.second, size, signal) for signal in (first, second))

    return Passed({(): output}, back, note="its two inputs taken as independent")


@register_signal("PairwiseDistance")
def distance(node: Node) -> Passed:
    """The Euclidean distance of two vectors that do not depend on each other: √n normal differences.

    Formula: E y² = n·E d², E y = √(2·E d²)·Γ((n + 1)/2)/Γ(n/2); E g² ← E g²/n
    """
    if node.layer.arguments["p"] != 2:
        raise Unpredictable("its norm is not Euclidean")
    first, second, size = _compared(node, -1)
    square = max(0.0, first.second + second.second - 2 * first.mean * second.mean)
    mean = (2 * square) ** 0.5 * exp(lgamma((size + 1) / 2) - lgamma(size / 2))
    spread = size * square - mean**2

    def of(covariance: float) -> float:
        return mean**2 + spread * (covariance / square) ** 2 if square else 0.0

    crossed = 2 * first.mean * second.mean
    output = _numbers(node, mean, size * square, of(first.along + second.along - crossed))
    output = replace(output, across=of(first.across + second.across - crossed))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        return tuple(_spread_out(gradients[()], 1 / size, size, signal) for signal in (first, second))

    return Passed({(): output}, back, note=f"its two inputs taken as independent; {ALONG_THE_SIGNAL}")


def _compared(node: Node, dim: int) -> tuple[Signal, Signal, int]:
    """Two signals and the number of elements that are compared: their units."""
    if node.dependent or len(set(node.sources)) < len(node.sources):
        raise Unpredictable("it compares tensors that depend on each other")
    first, second = _two(node)
    axis = dim % len(first.shape.sizes)
    first, second = (as_units(signal, axis) for signal in (first, second))
    if first.shape.sizes != second.shape.sizes:
        raise Unpredictable("it compares tensors of different shapes")
    if axis == first.shape.batch or first.second == 0 or second.second == 0:
        raise Unpredictable("it compares examples of the batch, or zeros")
    return first, second, first.shape.num_units


def _numbers(node: Node, mean: float, second: float, along: float) -> Signal:
    """One number for each position."""
    sizes, batch = node.sizes(), node.signal.shape.batch
    units = next((axis for axis in range(len(sizes)) if axis != batch), 0)
    shape = Shape(sizes, None if units == batch else batch, units)
    square = second - mean**2
    noise = (2 * square**2 + 4 * mean**2 * square) / second**2 / max(1, prod(sizes)) if second else 0.0
    return Signal(shape, mean, second, along, along, noise=noise)


def _spread_out(gradient: Gradient, factor: float, size: int, read: Signal) -> Gradient:
    """What one number sends back to the elements that it was made of."""
    return replace(
        gradient,
        energy=factor * gradient.energy,
        along=0.0,
        across=0.0,
        noise=gradient.noise + 2 / size / read.shape.num_examples,
        profile=FLAT,
        through=None,
        scatter=None,
    )
