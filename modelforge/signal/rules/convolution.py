"""Convolutions, transposed ones included: weighted sums over windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from modelforge.signal.own_values import by_fan
from modelforge.signal.rule import Node, Passed, Values, passed, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise, unweighted, weighted
from modelforge.signal.shape import Shape, fading
from modelforge.signal.sums import mixed_profile
from modelforge.signal.taps import Taps, along_each, spread, taps_of
from modelforge.signal.value import FLAT, Gradient, Profile, Signal


@register_signal("Conv1d", "Conv2d", "Conv3d", own_values=by_fan)
def convolution(node: Node) -> Passed:
    """Sums over windows, weighted. Zeros of the padding add nothing, so that borders lose energy.

    Formula: E y² at i = C_in·E w²·Σ over taps of E x² + E b², and the same back with C_out, positions kept apart by
        dimension
    Source: He et al. 2015, arXiv:1502.01852; Xiao et al. 2018, arXiv:1806.05393
    """
    signal, weight, arguments = as_units(node.signal, 1), node.values("weight"), node.layer.arguments
    shape = node.shape(1)
    taps = taps_of(arguments, signal.shape.sizes[2:], shape.sizes[2:])
    factor, profile = along_each(taps, signal.profile)
    even, reach = prod(one.read / one.kernel for one in taps), prod(one.reach for one in taps)
    apart = _apart(signal, taps)
    seen = by_windows(signal, factor, reach, shape, even)
    output = weighted(seen, weight, node.values("bias"), shape, weight.fan_in, taps=apart)
    own = _of_groups(output, signal, arguments["groups"], apart)
    shifted = _shifted(signal, shape, taps, factor)
    stride = max(spread(arguments["stride"], len(taps)))
    output = replace(output, own_chance=own + (1 - own) * shifted, near=float(fading(output.near, stride)))
    output = replace(
        output,
        noise=normal_noise(output),
        profile=mixed_profile(_with_bias(output, node.values("bias"), profile), shape.sizes),
    )
    channels = arguments["out_channels"] / arguments["groups"]
    fan_in = signal.shape.num_units / arguments["groups"] * prod(one.read for one in taps)
    spill = prod(one.spill for one in taps)

    def back(gradient: Gradient) -> Gradient:
        reached, profile = along_each(taps, gradient.profile, back=True)
        arriving = _arriving(gradient, spill, reached, signal.shape)
        sent = unweighted(arriving, weight, signal, channels * reached, fan_in=fan_in)
        return replace(sent, profile=profile, square=arguments["groups"] * sent.square)

    return passed(output, back)


@register_signal("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", own_values=by_fan)
def transposed(node: Node) -> Passed:
    """The same the other way round: each position sends a window of values.

    Formula: E y² at i = C_in·E w²·Σ over windows that reach i of E x² + E b²
    """
    signal, weight, arguments = as_units(node.signal, 1), node.values("weight"), node.layer.arguments
    shape = node.shape(1)
    taps = taps_of(arguments, shape.sizes[2:], signal.shape.sizes[2:])
    reached, profile = along_each(taps, signal.profile, back=True)
    channels = signal.shape.num_units / arguments["groups"]
    spill = prod(one.spill for one in taps)
    share = spill / reached if reached else 0.0
    seen = replace(signal, along=share * signal.along, across=share * signal.across, placed=0.0)
    fan_in = channels * reached
    apart = _apart_from(signal, 1 / max(1.0, reached))
    output = weighted(seen, weight, node.values("bias"), shape, fan_in, taps=apart)
    output = replace(output, own_chance=_of_groups(output, signal, arguments["groups"], apart))
    output = replace(output, noise=normal_noise(output))
    output = replace(output, profile=mixed_profile(_with_bias(output, node.values("bias"), profile), shape.sizes))
    kernel = prod(one.kernel for one in taps)
    reach = prod(one.reach for one in taps)

    def back(gradient: Gradient) -> Gradient:
        factor, profile = along_each(taps, gradient.profile)
        arriving = _arriving(gradient, reach, factor, shape)
        fan = arguments["out_channels"] / arguments["groups"] * kernel * factor
        sent = unweighted(arriving, weight, signal, fan, fan_in=fan_in)
        return replace(sent, profile=profile, square=arguments["groups"] * sent.square)

    return passed(output, back)


def by_windows(signal: Signal, factor: float, reach: float, shape: Shape, even: float) -> Signal:
    """The signal as windows see it: padding has no energy.

    One position of two examples has all its taps in common, and two positions those that both read.

    Args:
        signal: What arrives.
        factor: On the energy.
        reach: The share of taps that read the signal in both of any two windows.
        shape: Of what is made.
        even: The share of taps that read the signal.
    """
    at_one, at_two = signal.by_place
    shared = _of_two(reach, even, shape.num_positions)
    at_one, at_two = factor * at_one, shared * at_two
    across = at_two + (at_one - at_two) / shape.num_positions
    placed = at_one - at_two if shape.num_positions > 1 else 0.0
    return replace(signal, second=factor * signal.second, along=shared * signal.along, across=across, placed=placed)


def _of_two(of_any: float, of_one: float, count: int) -> float:
    """The mean over pairs of two positions, from that over any pairs and that over pairs of one with itself."""
    return (count * of_any - of_one) / (count - 1) if count > 1 else 0.0


def _arriving(gradient: Gradient, spill: float, reached: float, shape: Shape) -> Gradient:
    """The gradient with covariances in units of the taps that reach a position, `reached` in the mean."""
    if not reached:
        return replace(gradient, along=0.0, across=0.0, profile=FLAT)
    along = _of_two(spill, reached, shape.num_positions) / reached * gradient.along
    return replace(gradient, along=along, across=spill / reached * gradient.across, profile=FLAT)


def _apart(signal: Signal, taps: Sequence[Taps]) -> float:
    """How many of a window's taps read numbers that do not depend on each other; copies side by side count as one."""
    count, alike = prod(one.apart for one in taps), prod(one.alike(signal.near) for one in taps)
    return _apart_from(signal, max(1 / count, alike))


def _apart_from(signal: Signal, alike: float) -> float:
    """How many taps do not depend on each other, from the mean squared correlation of those of a window."""
    square = signal.correlation(signal.along) ** 2
    return 1 / (square + (1 - square) * alike)


def _of_groups(output: Signal, signal: Signal, groups: int, apart: float) -> float:
    """How much more alike two positions are by chance in a single unit, which reads those of its group only."""
    return (1 - output.chance) * (groups - 1) / signal.shape.num_units / apart


def _shifted(signal: Signal, shape: Shape, taps: Sequence[Taps], factor: float) -> float:
    """How alike positions are by the place that padding leaves them: each has what all share in taps of its own.

    Formula: (E x x′/E x²)² times the variance, over pairs of two positions, of the share of taps that both read
    """
    if signal.second == 0 or factor == 0:
        return 0.0
    share, reach = 1 / shape.num_positions, prod(one.reach for one in taps)
    varies = prod(one.reach_square for one in taps) - reach**2
    if share < 1:  # less what is so because some pairs are of one position
        varies -= (factor - reach) ** 2 * share / (1 - share)
    return min(1.0, max(0.0, varies) * (signal.across / signal.second / factor) ** 2)


def _with_bias(output: Signal, bias: Values, profile: Profile) -> list[tuple[float, Profile]]:
    return [(output.second - bias.second, profile), (bias.second, FLAT)]
