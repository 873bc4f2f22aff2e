"""Elementwise functions: activations, and numbers that multiply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, log, sqrt
from typing import Any

import numpy as np
import torch

from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Activation
from modelforge.language import registry
from modelforge.signal.held import alike, before_norms, loose_part, realigned, refuse_zeros
from modelforge.signal.laws import again, bent
from modelforge.signal.moments import Pair, Single, held_variance, homogeneous, over_energies, pair, single
from modelforge.signal.rule import Node, Passed, Unpredictable, passed, register_signal
from modelforge.signal.scatter import FENTON_VARIANCE, MASSES, Scatter, Slopes, lognormal, shared_part
from modelforge.signal.value import FLAT, Gradient, Preactivation, Profile, Signal, Through

STEP = 0.01
"""The relative change of an energy by which a power law is found."""
FAR_APART = "from here on less sure: examples differ so much that few of a batch have most of its energy"
SMALL_DRIFT = 1e-3
"""The variance of a logarithm up to which a power law stands for any function of it."""
LEAST = 1e-300
ALIKE = 1e-6
"""The share of the energy of which differences of examples cannot be distinguished from rounding."""
DRAWS, _MASSES = np.polynomial.hermite_e.hermegauss(5)
LIKELY = _MASSES / _MASSES.sum()
"""How likely each of the draws is."""
LEAST_ENERGY = 1e-3
"""Where there is less, slopes are those of 0 and no power of the energy."""


@lru_cache(maxsize=256)
def function_of(type_name: str, arguments: FrozenDict[str, Any], values: FrozenDict[str, float]) -> Activation:
    """The function that a layer type with these arguments computes in evaluation."""
    make = registry.get(type_name).make
    assert make is not None, "an activation is no combinator"
    module = make(**arguments).double().eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.fill_(values[name]).requires_grad_(False)
    return Activation(type_name, module)


def _energy_profile(profile: Profile, power: float) -> tuple[float, Profile]:
    """The profile of a power of the energy, and the mean that was taken out of it."""
    raised = {axis: shape**power for axis, shape in profile.items()}
    factor = float(np.prod([shape.mean() for shape in raised.values()])) if raised else 1.0
    return factor, FrozenDict({axis: shape / shape.mean() for axis, shape in raised.items()})


def activation(node: Node) -> Passed:
    """An elementwise function of a normal signal.

    Formula: E y = E φ(z), E y² = E φ(z)², E y y′ = E φ(z) φ(z′) with z, z′ ~ N; E g² ← E φ′(z)²·E g²
    Source: Poole et al. 2016, arXiv:1606.05340; Daniely et al. 2016, arXiv:1602.05897
    """
    values = {name: node.values(name) for name in node.parameters}
    if any(it.std for it in values.values()):
        raise Unpredictable(f"`{node.layer.type}` has parameters that are drawn")
    means = FrozenDict({name: it.mean for name, it in values.items()})
    return activated(node, function_of(node.layer.type, FrozenDict(node.layer.arguments), means))


def activated(node: Node, function: Activation) -> Passed:
    """What a function makes of a layer's input, element by element."""
    signal = node.signal
    if same := again(function, signal):
        return same
    one = single(function, signal.mean, signal.variance, signal.lean)
    if not np.isfinite([one.second, one.fourth]).all():
        raise Unpredictable(f"`{node.layer.type}` of such a signal has no finite moments")
    alike = map(signal.correlation, (signal.along, signal.across))
    along, across = (pair(function, signal.mean, signal.variance, one_pair) for one_pair in alike)
    at_one, at_two = _by_place_pairs(function, signal, across)
    power = _power(function, signal, one)
    noise = _noise(function, signal, one, along, across)
    drawn = _over_examples(function, signal, one, power, noise) if node.spreads else None
    if drawn is None:
        drawn = _over_draws(function, signal, one, power, apart=node.spreads)
        noise = _noise(function, signal, one, along, across, signal.shape.fewer(power**2 * signal.swing))
    factor, profile = _energy_profile(signal.profile, power) if signal.profile else (1.0, signal.profile)
    kept = _of_chance(signal, one, across)
    output = replace(
        signal,
        mean=one.mean,
        second=factor * one.second,
        along=along.product,
        across=signal.over_places(at_one, at_two),
        placed=at_one - at_two,
        drift=drawn.drift,
        lift=drawn.lift,
        noise=noise,
        chance=signal.chance * kept**2,
        own_chance=signal.own_chance * kept**2,
        swing=power**2 * signal.swing,
        loose=loose_part(function, signal, one),
        balanced=False,
        held=None if signal.held is None else held_variance(function, signal.mean, signal.variance) / _batch(signal),
        tail=one.fourth / one.second**2 - 1 if one.second else 2.0,
        third=one.third - 3 * one.mean * one.second + 2 * one.mean**3,
        profile=profile,
        later=_later(signal.later, one.mean**2, along.product),
        **dict.fromkeys(("table", "level", "weight_gain")),
        elements=bent(function, signal),
        scatter=drawn.made,
        preactivation=Preactivation(
            function,
            signal.mean,
            signal.variance,
            signal.correlation(signal.along),
            signal.correlation(signal.across),
            signal.near,
        ),
        near=_near(function, signal, one, along),
    )
    gain = signal.weight_gain
    return Passed(
        {(): output},
        lambda gradients: (_back(gradients[()], function, signal, one, along, across, drawn),),
        chi=None if gain is None else gain * one.slope_second,
        slope=None if gain is None else gain * one.growth,
        note=FAR_APART if signal.drift > 1 and abs(power - 1) > STEP else "",
    )


def _by_place_pairs(function: Activation, signal: Signal, across: Pair) -> tuple[float, float]:
    """E φ φ′ of one unit in two examples at one position, and at two."""
    if signal.placed == 0:
        return across.product, across.product
    same, other = (
        pair(function, signal.mean, signal.variance, signal.correlation(item)).product for item in signal.by_place
    )
    return same, other


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What an uncertain energy of what arrives makes of ln E φ² and ln E φ′², over draws of the weights before it."""

    drift: float
    """Variance of ln E φ²."""
    lift: float
    sway: float
    """The standard deviation of ln E φ′²; its sign is negative where E φ′² falls as the energy grows."""
    slope_mean: float
    """The mean of ln E φ′² less that at the expected energy."""
    made: Scatter | None = None
    """How examples differ after it, where that is followed."""
    slopes: Slopes | None = None
    """Those at the energy of each example."""


def _over_examples(function: Activation, signal: Signal, one: Single, power: float, noise: float) -> _Drawn | None:
    """The activation at the energy of each example; None where these are alike, or several positions have their own."""
    shape, total = signal.shape, max(signal.swing, signal.drift)
    if signal.scatter is None and (total < FENTON_VARIANCE or power < 1 + STEP):
        return None
    if shape.num_positions > 1 or abs(signal.lean) > STEP or not one.second or not one.slope_second:
        return None
    count = shape.num_examples
    before = signal.scatter or Scatter.normal(total, shared_part(total, signal.drift, count), signal.lift)
    found = over_energies(function, signal.mean, signal.variance, np.append(before.logs, 0.0))
    if not (found[:4] > 0).all():
        return None
    second, fourth, slope_second, slope_fourth, moved, aligned = found[:, :-1]
    own = float(MASSES @ (fourth / second**2 - 1)) / shape.num_units
    shared = shared_part(own, noise, count)
    made = Scatter(np.log(second / found[0, -1]), before.correlation, own, shared, present=before.present)
    drift, lift = lognormal(made.log_of_mean(count))
    power_of_each, size = aligned / second, second / slope_second / (signal.second * np.exp(before.logs))
    slopes = Slopes(
        np.log(slope_second / found[2, -1]),
        size * power_of_each**2,
        size * (moved / second - power_of_each**2),
        float(MASSES @ (slope_fourth / slope_second**2)),
    )
    return _Drawn(drift, lift, 0.0, 0.0, made, slopes)


def _over_draws(function: Activation, signal: Signal, one: Single, power: float, *, apart: bool) -> _Drawn:
    """The activation at the energies of several draws, ln of which is taken as normal.

    A power law would hold for small differences only; where V′ is above 1, draws drift apart until it does not.
    It is all that is taken where spreads are not wanted: what draws come to is most of the work.
    """
    sway = one.slope_growth * signal.variance / one.slope_second if one.slope_second else 0.0
    if not apart or signal.drift < SMALL_DRIFT or not one.second or not one.slope_second:
        return _Drawn(power**2 * signal.drift, power * signal.lift, sway * sqrt(signal.drift), 0.0)
    logs = sqrt(signal.drift) * DRAWS + signal.lift - signal.drift / 2
    draws = [single(function, signal.mean * exp(x / 2), signal.variance * exp(x), signal.lean) for x in logs]
    values, slopes = (
        np.array([log(max(number, LEAST)) for number in numbers])
        for numbers in (
            [draw.second / one.second for draw in draws],
            [draw.slope_second / one.slope_second for draw in draws],
        )
    )
    mean, slope_mean = float(values @ LIKELY), float(slopes @ LIKELY)
    drift, spread = float((values - mean) ** 2 @ LIKELY), float((slopes - slope_mean) ** 2 @ LIKELY)
    return _Drawn(drift, mean + drift / 2, float(np.copysign(sqrt(spread), sway)), slope_mean)


def _power(function: Activation, signal: Signal, one: Single) -> float:
    """d ln E φ² / d ln E x², where the mean of what arrives, if it has one, grows with its standard deviation."""
    if one.second == 0:
        return 0.0
    power = one.growth * signal.variance / one.second
    if signal.mean == 0 or not signal.profile:
        return power
    more = single(function, signal.mean * (1 + STEP) ** 0.5, signal.variance * (1 + STEP), signal.lean)
    return float(np.log(more.second / one.second) / np.log(1 + STEP))


def _of_chance(signal: Signal, one: Single, across: Pair) -> float:
    """The factor on a correlation by chance, in units of the variance about what all examples have in common."""
    variance = one.second - across.product
    if variance <= ALIKE * one.second:  # all examples are one; there, the function is linear
        return 1.0
    return across.slope_product * max(0.0, signal.second - signal.across) / variance


def _batch(signal: Signal) -> int:
    return signal.shape.num_positions * signal.shape.num_examples


def _near(function: Activation, signal: Signal, one: Single, along: Pair) -> float:
    """How much more alike neighbours are after it than any two positions."""
    if signal.near == 0 or one.second <= along.product:
        return 0.0
    any_two = signal.correlation(signal.along)
    both = pair(function, signal.mean, signal.variance, any_two + (1 - any_two) * signal.near)
    return (both.product - along.product) / (one.second - along.product)


def _later(later: Profile, apart: float, together: float) -> Profile:
    """The shape of a covariance of which a part, what independent numbers have, is the same everywhere."""
    if together == 0:
        return FLAT
    return FrozenDict({axis: 1 + (shape - 1) * (1 - apart / together) for axis, shape in later.items()})


def _noise(function: Activation, signal: Signal, one: Single, along: Pair, across: Pair, fewer: float = 1.0) -> float:
    """Relative variance of the mean of φ² over the elements there are; κ of one is E φ⁴/(E φ²)² - 1."""
    if one.second == 0:
        return 0.0
    own = loose_part(function, signal, one) * (one.fourth - one.second**2)
    # Correlations of either sign: of the series of E φ²φ′² in them, the square is the first that counts.
    by_chance = 2 * signal.loose * signal.chance * (one.growth * signal.variance) ** 2
    near, far = (square + by_chance for square in alike(function, signal, along, across)[0])
    pairs = signal.overlap(own, near, far, fewer)
    return max(0.0, pairs) / one.second**2 / signal.shape.num_units


def _by_place(arriving: Profile, profile: Profile, power: float) -> tuple[float, Profile]:
    """The factor of slopes that go with a power of the energy by place, and the profile of the gradient after them."""
    if not profile or power == 0:
        return 1.0, arriving
    factor, shapes = 1.0, dict(arriving)
    for axis, energy in profile.items():
        given = arriving.get(axis, np.ones(len(energy)))
        if len(given) == len(energy):
            sent = given * np.maximum(energy, LEAST_ENERGY) ** power
            mean = float(sent.mean())
            factor, shapes[axis] = factor * mean, sent / mean
    return factor, FrozenDict(shapes)


def _back(
    gradient: Gradient, function: Activation, signal: Signal, one: Single, along: Pair, across: Pair, drawn: _Drawn
) -> Gradient:
    second = one.slope_second
    if second == 0:
        return Gradient(0.0)
    if signal.scatter is not None and signal.scatter.present < 1:
        refuse_zeros(function, second)
    own = (gradient.tail + 1) * one.slope_fourth - second**2
    other = gradient.along / gradient.energy if gradient.energy else 0.0
    # E g²φ′² of two positions: normal gradients of that correlation, slopes of theirs.
    near, far = (
        (1 + 2 * max(square, gradient.chance)) * (of_slopes + second**2) - second**2
        for of_slopes, square in zip(alike(function, signal, along, across)[1], (other**2, 0.0), strict=True)
    )
    each = own, max(0.0, near), max(0.0, far)
    unit = signal.shape.num_units * second**2
    noise = signal.overlap(*each, signal.shape.fewer(gradient.swing)) / unit
    sway = one.slope_growth * signal.variance / second
    drift = (sqrt(gradient.drift) + abs(drawn.sway)) ** 2
    lift = gradient.lift + drawn.slope_mean + (drift - gradient.drift) / 2
    scatter = None
    if drawn.made is not None and drawn.slopes is not None:
        examples = signal.shape.num_examples
        scatter = gradient.by_example(signal.shape).through(drawn.slopes, signal.shape.num_units)
        shared = shared_part(scatter.noise, signal.overlap(*each) / unit, examples)
        scatter = replace(scatter, shared_noise=shared)
        drift, lift = lognormal(scatter.log_of_mean(drawn.made, examples))
        scatter = scatter.flat() if signal.scatter is None else scatter
    factor, profile = _by_place(gradient.profile, signal.profile, sway)
    followed = homogeneous(function, signal.mean, signal.variance) if gradient.holds else 0.0
    less, pull, divided = before_norms(gradient, function, signal, one)
    return replace(
        gradient,
        energy=gradient.energy * second * gradient.tilt * factor * less.factor,
        profile=profile,
        along=gradient.along * along.slope_product,
        across=gradient.across * across.slope_product,
        drift=drift,
        lift=lift,
        scatter=scatter,
        tilt=1.0,
        square=followed * gradient.square,
        pull=pull,
        divided=divided,
        level=None,
        radial=gradient.radial and replace(gradient.radial, factor=1 - followed * (1 - gradient.radial.factor)),
        turned=followed * gradient.turned,
        aligned=gradient.aligned and realigned(gradient.aligned, function, signal, one),
        through=Through(function, signal.mean, signal.variance),
        chance=gradient.chance * (across.slope_product / second) ** 2,
        noise=max(0.0, noise + less.noise),
        tail=own / second**2,
    )


@register_signal("Identity", keeps_shared=True)
def identity(node: Node) -> Passed:
    """What changes nothing."""
    return passed(node.signal, lambda gradient: gradient)


@register_signal("Rescale", keeps_shared=True)
def rescale(node: Node) -> Passed:
    """A given number times the signal: E y² = factor²·E x²; E g² ← factor²·E g²."""
    factor = node.layer.arguments["factor"]
    return passed(node.signal.times(factor), lambda gradient: gradient.times(factor))


@register_signal("Scale", "LayerScale", keeps_shared=True)
def scale(node: Node) -> Passed:
    """Learned numbers times the signal: E y² = E w²·E x²; E g² ← E w²·E g²."""
    weight = node.values("weight")
    signal = node.signal.times(weight.mean if weight.std == 0 else weight.second**0.5)
    if weight.std:
        signal = replace(signal, mean=weight.mean * node.signal.mean, preactivation=None)
    return passed(signal, lambda gradient: gradient.amplified(weight.second))
