"""Attention: means of values, weighted by how alike queries and keys are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.causal import as_later, of_means, of_prefixes, to_sources
from modelforge.signal.own_values import of_attention
from modelforge.signal.rule import Index, Node, Passed, Unpredictable, Values, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise, unweighted, weighted
from modelforge.signal.shape import Shape
from modelforge.signal.softmax import powers, shares
from modelforge.signal.sums import summed
from modelforge.signal.value import FLAT, Gradient, Profile, Signal


@dataclass(frozen=True, slots=True)
class _Projection:
    weight: Values
    bias: Values


@dataclass(frozen=True, slots=True)
class _Attention:
    """What an attention is made of."""

    query: _Projection
    key: _Projection
    value: _Projection
    out: _Projection
    head_dim: int
    num_heads: int
    num_kv_heads: int
    scale: float
    causal: bool
    dropout: float
    bias: float
    """Variance of what is added to the logits."""
    weights: Shape | None = None
    """Of the weights, means over heads, where they are an output too."""


@register_signal("SelfAttention", "CrossAttention")
def attention(node: Node) -> Passed:
    """Queries, keys and values from a projection each, and one of the output."""
    arguments = node.layer.arguments
    heads, width = arguments["num_heads"], arguments["embed_dim"]
    head_dim = arguments["head_dim"] if arguments.get("head_dim") else width // heads
    crossed = node.layer.type == "CrossAttention"
    biases = [signal for signal in node.signals[2 if crossed else 1 :] if signal is not None]

    def projection(name: str) -> _Projection:
        return _Projection(node.values(f"{name}_proj.weight"), node.values(f"{name}_proj.bias"))

    made = _Attention(
        projection("q"),
        projection("k"),
        projection("v"),
        projection("out"),
        head_dim,
        heads,
        arguments.get("num_kv_heads") or heads,
        arguments.get("scale") or head_dim**-0.5,
        bool(arguments.get("causal")),
        arguments["dropout"] if node.training else 0.0,
        sum(signal.variance for signal in biases),
    )
    return _attend(node, made, 2 if crossed else 1)


@register_signal("MultiheadAttention", own_values=of_attention)
def packed(node: Node) -> Passed:
    """torch's own, whose projections of queries, keys and values may be one parameter."""
    arguments = node.layer.arguments
    if arguments["add_bias_kv"] or arguments["add_zero_attn"]:
        raise Unpredictable("it has keys and values of its own")
    together = "in_proj_weight" in node.parameters

    def projection(name: str) -> _Projection:
        weight = node.values("in_proj_weight", name) if together else node.values(f"{name}_proj_weight")
        return _Projection(weight, node.values("in_proj_bias", name))

    heads = arguments["num_heads"]
    head_dim = arguments["embed_dim"] // heads
    made = _Attention(
        projection("q"),
        projection("k"),
        projection("v"),
        _Projection(node.values("out_proj.weight"), node.values("out_proj.bias")),
        head_dim,
        heads,
        heads,
        head_dim**-0.5,
        False,
        arguments["dropout"] if node.training else 0.0,
        0.0,
        node.shape(-1, (1,)) if arguments.get("need_weights") else None,
    )
    return _attend(node, made, len(node.signals))


@dataclass(frozen=True, slots=True)
class _Mixing:
    """How much of one key there is in the mean of each query, and in the means of two."""

    own: np.ndarray
    """E Σ a² for each query."""
    shared: np.ndarray
    """E Σ a a′ with another query; of causal ones with an earlier one."""
    counts: np.ndarray
    """Keys that each query reads."""


def _mixing(variance: float, correlation: float, queries: int, keys: int, *, causal: bool) -> _Mixing:
    own, shared = shares(variance, keys), shares(variance * max(0.0, correlation), keys)
    if not causal:
        return _Mixing(np.full(queries, own[-1]), np.full(queries, shared[-1]), np.full(queries, keys))
    # Two queries have the keys of the earlier one in common, and the later one gives those a part of its weight.
    return _Mixing(own, shared, np.arange(1, keys + 1))


def _attend(node: Node, made: _Attention, num_read: int) -> Passed:
    """Softmax of normal logits, a mean of values, and a projection.

    Formula: Var logits = scale²·d·E q²·(E k² - E k k′); E y² = E v v′ + (E v² - E v v′)·(E Σ a² + what `_picked` adds)
    Source: Dong et al. 2021, arXiv:2103.03404; Noci et al. 2022, arXiv:2206.03126
    """
    known = [signal for signal in node.signals[:num_read] if signal is not None]
    if len(known) < num_read:
        raise Unpredictable("it reads what is not known")
    x = as_units(known[0], -1)
    sources = [as_units(known[min(place, num_read - 1)], -1) for place in (1, 2)]
    query, key, value = (
        weighted(signal, one.weight, one.bias, _projected(signal.shape, one.weight), one.weight.fan_in)
        for signal, one in ((x, made.query), (sources[0], made.key), (sources[1], made.value))
    )
    apart = max(0.0, key.second - key.along)
    logits = made.scale**2 * made.head_dim * query.second * apart + made.bias
    steps, keys = query.shape.num_positions, key.shape.num_positions
    likeness = query.along / query.second if query.second else 0.0
    mixing = _mixing(logits, likeness, steps, keys, causal=made.causal)
    covariance = _by_later(value, keys)
    alike = of_prefixes(covariance) if made.causal else np.full(steps, value.along)
    different = np.maximum(0.0, value.second - alike)
    picked = _picked((logits - made.bias) * value.chance, mixing.own)
    dropped = made.dropout / (1 - made.dropout) * mixing.own * value.second
    energies = alike + different * (mixing.own + picked) + dropped
    second = float(energies.mean())
    # Queries that are alike pick the same.
    common = picked * max(0.0, likeness)
    if made.causal:
        along, later = as_later(of_means(covariance) + different * (mixing.shared + common))
    else:
        along, later = value.along + float((different * (mixing.shared + common)).mean()), None
    mixed = replace(
        value,
        shape=_projected(x.shape, made.query.weight),
        second=second,
        along=along,
        drift=value.drift + value.noise,
        profile=FrozenDict({1: energies / second}) if made.causal and second else FLAT,
        later=FLAT if later is None else FrozenDict({1: later}),
    )
    mixed = replace(mixed, noise=normal_noise(mixed))
    output = weighted(mixed, made.out.weight, made.out.bias, node.shape(-1, _main(node)), made.out.weight.fan_in)
    output = replace(output, profile=mixed.profile)
    output = replace(output, noise=normal_noise(output))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        arriving = gradients.get(_main(node), Gradient(0.0))
        gradient = unweighted(arriving, made.out.weight, mixed, _fan(made.out))
        copies = made.num_heads / made.num_kv_heads
        each = gradient.energy * arriving.profile.get(1, np.ones(steps))
        kept = replace(mixing, own=mixing.own / (1 - made.dropout))
        to_keys, along, later = _to_keys(each, _by_later(gradient, steps), kept, keys, causal=made.causal)
        energy = float(to_keys.mean())
        profile = FrozenDict({1: to_keys / energy}) if made.causal and energy else FLAT
        to_value = replace(gradient, energy=copies * energy, along=copies * along, profile=profile, later=later)
        # d logit = a·(v - y)·g
        steep = made.scale**2 * made.head_dim * different * mixing.own * (1 - mixing.own) * each
        if given := gradients.get((1,)):
            steep = steep + made.scale**2 * _to_logits(given, logits, keys, made.num_heads)
        to_query = replace(gradient, energy=float(steep.mean()) * apart, along=0.0, later=FLAT)
        sent = _received(steep / mixing.counts, keys, causal=made.causal)
        to_key = replace(gradient, energy=copies * float(sent.mean()) * query.second, along=0.0, later=FLAT)
        parts = [
            unweighted(to_query, made.query.weight, x, _fan(made.query)),
            unweighted(to_key, made.key.weight, sources[0], _fan(made.key)),
            replace(unweighted(to_value, made.value.weight, sources[1], _fan(made.value)), profile=profile),
        ]
        if num_read == 1:
            given = [summed(parts, x)]
        elif num_read == 2:
            given = [parts[0], summed(parts[1:], sources[0])]
        else:
            given = parts
        return (*given, *(None for _ in node.signals[num_read:]))

    outputs: dict[Index, Signal] = {_main(node): output}
    if made.weights is not None:
        outputs[1,] = _weights(made.weights, mixing, made.num_heads)
    return Passed(outputs, back)


def _weights(shape: Shape, mixing: _Mixing, heads: int) -> Signal:
    """The mean over heads of the weights of each query."""
    mean = 1 / shape.num_units
    square = mean**2

    def of(sums: float) -> float:
        return square + (mean * sums - square) / heads

    own, shared = float(mixing.own.mean()), float(mixing.shared.mean())
    made = Signal(shape, mean, of(own), of(shared), square)
    return replace(made, noise=normal_noise(made))


def _to_logits(gradient: Gradient, variance: float, keys: int, heads: int) -> float:
    """Σ over the logits of a query and a head of the energy that the gradient of the weights gives them."""
    found = powers(variance, keys)
    return gradient.energy / heads**2 * max(0.0, found.second - 2 * found.third + found.square)


def _picked(variance: float, own: np.ndarray) -> np.ndarray:
    """What queries get on top because the keys that they pick are alike, in units of the energy of values.

    Keys in d dimensions whose logits have variance s² have weights with mean direction A, and A² = t/(1 + 2t), t = s²/d
    (von Mises and Fisher). Each of the few keys of a mean is also in what the others are compared with, which leaves
    (1 - 1/T)·(1 - 2/T)² of it for T keys, to first order (1 - 1/T)⁵; E Σ a² stands for 1/T.

    Args:
        variance: t, of logits times the squared correlation of two keys by chance, 1/d.
        own: E Σ a² of each query.
    """
    return variance / (1 + 2 * variance) * (1 - own) ** 5


def _by_later(of: Signal | Gradient, steps: int) -> np.ndarray:
    """The covariance of two positions by the later of them."""
    later = of.later.get(1)
    return np.full(steps, of.along) if later is None or len(later) != steps else of.along * later


def _to_keys(
    energy: np.ndarray, covariance: np.ndarray, mixing: _Mixing, keys: int, *, causal: bool
) -> tuple[np.ndarray, float, Profile]:
    """What each key gets of what all queries give it: Σ a²·g², and Σ a a′·g g′ of pairs; and what two keys share."""
    if causal:
        energies, shared = to_sources(energy, covariance, mixing.own, mixing.shared)
        along, later = as_later(shared)
        return energies, along, FrozenDict({1: later})
    steps = len(energy)
    pairs = steps / keys * (steps - 1) * float(mixing.shared.mean() * covariance.mean())
    energies = _received(mixing.own / mixing.counts * energy, keys, causal=False) + pairs
    whole = float(energy.sum()) + steps * (steps - 1) * float(covariance.mean())
    along = (whole - keys * float(energies.mean())) / (keys * (keys - 1)) if keys > 1 else 0.0
    return energies, along, FLAT


def _received(given: np.ndarray, keys: int, *, causal: bool) -> np.ndarray:
    """What each key gets of what queries give to each of the keys that they read."""
    return np.cumsum(given[::-1])[::-1] if causal else np.full(keys, given.sum())


def _main(node: Node) -> Index:
    return (0,) if isinstance(node.layer.output, tuple) else ()


def _fan(projection: _Projection) -> float:
    return projection.weight.fan_out


def _projected(shape: Shape, weight: Values) -> Shape:
    sizes = (*shape.sizes[:-1], int(weight.fan_out))
    return replace(shape, sizes=sizes, units=len(sizes) - 1)
