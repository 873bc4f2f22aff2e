"""Linear layers, and what all weights do that are drawn independently."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from modelforge.signal.own_values import by_fan
from modelforge.signal.rule import Node, Passed, Unpredictable, Values, passed, register_signal
from modelforge.signal.scatter import lognormal, shared_part
from modelforge.signal.shape import Shape
from modelforge.signal.sums import mixed_profile
from modelforge.signal.value import FLAT, Gradient, Signal

COMMON = 0.01
"""What the mean of weights may make of a sum that all units share, in units of what the rest of them makes."""
MOST_SWING = 1e12
"""The relative variance of energies from which on one example or position has all: it grows with each layer."""


def weighted(
    signal: Signal,
    weight: Values,
    bias: Values,
    shape: Shape,
    fan_in: float,
    reach: float = 1.0,
    taps: float = 1.0,
    *,
    shares: bool = False,
) -> Signal:
    """What sums of `fan_in` inputs are, weighted by independent numbers.

    Formula: E y² = n·(Var w·E x² + (E w)²·(E x² + (n - 1)(E x)²)) + E b², pairs alike; n·E w²·E x² + E b² for weights
        that are not drawn, each row of which reads one input, or which are orthogonal

    Args:
        signal: What arrives.
        weight: What is planned of the weights.
        bias: What is planned of the biases.
        shape: Of what is made.
        fan_in: Inputs that each output sums over, n.
        reach: The share of pairs of positions for which both have an input, where padding is around.
        taps: How many of `fan_in` are positions that differ from each other.
        shares: Whether the weights may have a mean, so that all units share a sum.

    Raises:
        Unpredictable: the weights have a mean, and may not.
    """
    if not shares:
        refuse_mean(weight, fan_in)

    def of(product: float) -> float:
        if weight.patterned:
            return fan_in * weight.second * product
        return fan_in * weight.std**2 * product + _common(signal, weight, fan_in, product)

    share = _share(of(signal.second), bias.second)
    made = Signal(
        shape,
        mean=fan_in * weight.mean * signal.mean + bias.mean,
        second=of(signal.second) + bias.second,
        along=of(signal.along) * reach + bias.second,
        across=of(signal.across) * reach + bias.second,
        placed=fan_in * weight.std**2 * signal.placed,
        # Energies of what arrives go into all outputs; the bias does not know them.
        drift=(signal.drift + signal.noise) * share**2,
        chance=_more_alike(signal.chance, signal.shape.num_units) / taps,
        lift=signal.lift * share,
        swing=min(MOST_SWING, signal.uneven / taps * share**2),
        weight_gain=fan_in * weight.second,
        later=signal.later,
        near=signal.near * share,
    )
    return replace(made, noise=normal_noise(made))


def _common(signal: Signal, weight: Values, fan_in: float, product: float) -> float:
    """What the mean of weights makes of a product: (n·E w)²·(E x)², and what is left of n·(E w)² times a covariance."""
    free = 0.0 if signal.balanced else 1.0
    return fan_in * weight.mean**2 * (free * (product - signal.mean**2) + fan_in * signal.mean**2)


def has_mean(weight: Values, fan_in: float) -> bool:
    """Whether the mean of weights makes more than chance of what they read."""
    return not weight.patterned and fan_in * weight.mean**2 > COMMON * weight.std**2


def _with_shared(output: Signal, rest: Signal, signal: Signal, weight: Values, fan_in: float) -> Signal:
    """The sums of weights with a mean: all units have one part in common, whose square scatters as that of one unit.

    Formula: Var y² = 4μ²·s² + 2·s⁴, and of two examples 4μ²·c + 2·c², of which y has the mean μ and the (co)variance
    """
    squares = signal.mean**2, signal.second, signal.along, signal.across
    mean, *shared = (_common(signal, weight, fan_in, item) for item in squares)
    own, near, far = (4 * mean * max(0.0, item - mean) + 2 * (item - mean) ** 2 for item in shared)
    noise = output.overlap(own, near, far) + normal_noise(rest) * rest.second**2
    return replace(output, noise=noise / output.second**2 if output.second else 0.0, shared=True)


def refuse_mean(weight: Values, fan_in: float) -> None:
    """Refuses weights with a mean: all units after them share the sum of what they read, which grows by n·E w a layer.

    Raises:
        Unpredictable: it is more than chance.
    """
    if has_mean(weight, fan_in):
        raise Unpredictable(f"its weights have the mean {weight.mean:.3g}, so that all its units share a sum")


def _more_alike(chance: float, fan: float) -> float:
    """The squared correlation by chance of two vectors after weights: each matrix adds one over its fan."""
    return chance + (1 - chance) / max(1.0, fan)


def _share(energy: float, other: float) -> float:
    return energy / (energy + other) if energy > 0 else 0.0


def normal_noise(signal: Signal) -> float:
    """Relative variance of the mean square of normal elements: 2/n, and more where elements of a unit are alike."""
    if signal.second == 0:
        return 0.0
    near, same, other = ((item / signal.second) ** 2 for item in (signal.along, *signal.by_place))
    alike = (near, signal.over_places(same, other))
    chance = signal.chance + signal.own_chance
    along, across = (square + (1 - square) * chance for square in alike)
    uneven = prod(float((energy**2).mean()) for energy in signal.profile.values())
    for later in signal.later.values():
        along += alike[0] * (float(later**2 @ np.arange(len(later))) / max(1, len(later) * (len(later) - 1) / 2) - 1)
    return 2 * signal.overlap(uneven, along, across, signal.fewer) / signal.shape.num_units


def unweighted(
    gradient: Gradient, weight: Values, signal: Signal, fan_out: float, reach: float = 1.0, fan_in: float | None = None
) -> Gradient:
    """The gradient of what independent numbers weighted: E g² ← n_out·E w²·E g²."""
    square = 0.0 if gradient.pull is None else gradient.pull.share / signal.shape.num_units
    gradient = _let_go(gradient, signal, signal.shape.num_units if fan_in is None else fan_in)
    gradient = _across_rays(gradient, max(signal.shape.num_units, fan_in or 1))
    more = 1 if gradient.aligned is None else 1 + (gradient.aligned - 1) / signal.shape.num_units
    factor = more * fan_out * weight.second
    back = Gradient(
        factor * gradient.energy,
        factor * reach * gradient.along,
        factor * reach * gradient.across,
        drift=gradient.drift + gradient.noise,
        chance=_more_alike(gradient.chance, fan_out),
        later=gradient.later,
        square=square,
        lift=gradient.lift,
        taken=gradient.taken,
        aligned=gradient.aligned and gradient.aligned / more,
        swing=min(MOST_SWING, gradient.swing + (1 + gradient.swing) * gradient.tail / max(1.0, fan_out)),
    )
    return replace(back, noise=_noise(back, signal, signal.shape.fewer(back.swing)))


def _noise(gradient: Gradient, signal: Signal, fewer: float) -> float:
    """Relative variance of the mean square of normal gradients of a signal's elements."""
    if gradient.energy == 0:
        return 0.0
    alike = [(item / gradient.energy) ** 2 for item in (gradient.along, gradient.across)]
    along, across = (square + (1 - square) * gradient.chance for square in alike)
    return 2 * signal.overlap(1.0, along, across, fewer) / signal.shape.num_units


def _across_rays(gradient: Gradient, fan_in: float) -> Gradient:
    """The gradient without the direction of what the weights read, as a norm right after them loses its size.

    Formula: E g² ← E g²·(1 - 1/n + ρ/n), n numbers that are read and ρ what the norm's ε leaves
    """
    if gradient.radial is None:
        return gradient
    rest = gradient.radial.factor / fan_in
    factor = 1 - 1 / fan_in + rest
    noise = gradient.noise + rest / factor * (gradient.radial.noise - gradient.noise)
    return replace(gradient.amplified(factor), noise=noise, radial=None)


def _let_go(gradient: Gradient, signal: Signal, fan_in: float) -> Gradient:
    """The gradient without what the weights themselves take back of a norm's unevenness."""
    pull = gradient.pull
    if pull is None:
        return gradient
    kept = pull.kept(fan_in, pull.share, signal.chance, signal.held)
    scaled = gradient.amplified(kept.factor / pull.factor)
    noise = max(0.0, gradient.noise - pull.noise) + kept.noise
    return replace(scaled, noise=noise, pull=None, taken=(pull, fan_in))


def as_units(signal: Signal, axis: int) -> Signal:
    """The signal with its units in another dimension: what were positions and units change places.

    Different units of one position have independent signs, so that their covariance is the squared mean.
    """
    shape = signal.shape
    axis %= max(1, len(shape.sizes))
    if axis == shape.units:
        return signal
    square = signal.mean**2
    moved = replace(shape, units=axis)
    return signal.remade(moved, along=square, across=square, profile=FLAT, later=FLAT, weight_gain=signal.weight_gain)


def _of_own_row(node: Node, signal: Signal, weight: Values) -> float:
    """The energy of the one output whose weights are the very row that a position holds.

    Formula: (times·n·E w²)² / rows, n·E w² the product of a row with itself
    """
    if signal.table is None or node.parameters["weight"].path != signal.table[0]:
        return 0.0
    return (signal.table[1] * signal.shape.num_units * weight.second) ** 2 / node.sizes()[-1]


@register_signal("Linear", keeps_shared=True, own_values=by_fan)
def linear(node: Node) -> Passed:
    """Sums of all inputs of a position, weighted.

    Formula: E y² = n_in·E w²·E x² + E b²; E g² ← n_out·E w²·E g²
    Source: Glorot and Bengio 2010; He et al. 2015, arXiv:1502.01852
    """
    weight, bias = node.values("weight"), node.values("bias")
    signal = as_units(node.signal, -1)
    shape = node.shape(-1)
    fan_in = signal.shape.num_units
    output = weighted(signal, weight, bias, shape, fan_in, shares=True)
    # Biases add the same energy everywhere.
    parts = [(output.second - bias.second, signal.profile), (bias.second, FLAT)]
    more = _of_own_row(node, signal, weight)
    output = replace(output, second=output.second + more, profile=mixed_profile(parts, shape.sizes))
    share = _share(output.second - bias.second, bias.second)
    output = _of_examples(output, signal, share)
    shares = has_mean(weight, fan_in)
    if shares:
        rest = weighted(signal, replace(weight, mean=0.0), bias, shape, fan_in)
        output = _with_shared(output, rest, signal, weight, fan_in)

    def back(gradient: Gradient) -> Gradient:
        if shares:
            return _shared_back(gradient, weight, signal, shape)
        divided = gradient.divided
        if divided is not None:
            sizes, size = signal.shape.sizes, signal.shape.num_units
            divided = replace(divided, sizes=sizes, size=size, centred=False, share=share * divided.share)
        sent = unweighted(gradient, weight, signal, shape.num_units)
        turned = share * (1 - gradient.radial.factor) if gradient.radial is not None else 0.0
        sent = replace(sent, profile=gradient.profile, divided=divided, turned=turned)
        if gradient.scatter is None or signal.scatter is None or output.scatter is None:
            return sent
        count, noise = shape.num_examples, sent.tail / signal.shape.num_units
        scatter = gradient.scatter.unweighted(signal.scatter, output.scatter, share, signal.shape.num_units)
        drift, lift = lognormal(scatter.log_of_mean(signal.scatter, count))
        scatter = replace(scatter, noise=noise, shared_noise=shared_part(noise, _noise(sent, signal, 1.0), count))
        return replace(sent, drift=drift, lift=lift, scatter=scatter)

    return passed(output, back)


def _shared_back(gradient: Gradient, weight: Values, signal: Signal, shape: Shape) -> Gradient:
    """The gradient before weights with a mean, of units that do not depend on each other: one sum goes to all units."""
    if gradient.pull is not None or gradient.divided is not None or gradient.aligned is not None:
        raise Unpredictable("its weights have a mean")
    sent = unweighted(gradient, weight, signal, shape.num_units)
    share = weight.mean**2 / weight.second if weight.second else 0.0
    alike = [(item / gradient.energy) ** 2 if gradient.energy else 0.0 for item in (gradient.along, gradient.across)]
    noise = 2 * share**2 * signal.overlap(1.0, alike[0], alike[1])
    fan_in = signal.shape.num_units
    sums = _common(signal, weight, fan_in, signal.second) / (fan_in * weight.mean**2 * signal.second)
    return replace(sent, noise=sent.noise + noise, aligned=share * sums + 1 - share)


def _of_examples(output: Signal, signal: Signal, share: float) -> Signal:
    """The sums with what is followed of how examples differ."""
    if signal.scatter is None or output.shape.num_positions > 1:
        return output
    count, noise = output.shape.num_examples, output.tail / output.shape.num_units
    made = signal.scatter.weighted(share)
    drift, lift = lognormal(made.log_of_mean(count))
    of_mean = normal_noise(replace(output, swing=0.0))
    made = replace(made, noise=noise, shared=shared_part(noise, of_mean, count))
    return replace(output, drift=drift, lift=lift, noise=of_mean, scatter=made)
