"""critical_gain: a plan for each gain → the gain at which gradients neither grow nor shrink on their way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from math import log, prod

from modelforge.core.errors import ForgeError
from modelforge.planning.plan import Plan
from modelforge.signal.origins import WEIGHTS
from modelforge.signal.predict import predict

SPAN = 4
"""Doublings of the gain, up and down, within which it is looked for."""
HALVINGS = 5
"""Of an interval of a factor of 2: down to 2 %."""
FLAT = 0.05
"""The change of the drift, over all gains, below which it does not depend on the gain: norms undo gains."""


@dataclass(frozen=True)
class Critical:
    """The gain at which the drift is smallest, and the drift there."""

    gain: float
    drift: float
    """See `drift`; 0 where gradients keep their length."""


def drift(plan: Plan) -> float | None:
    """The natural logarithm of the gradient's squared length at the first layer with weights over that at the last one.

    It is above 0 where gradients grow on their way back, below 0 where they shrink, and None where fewer than two such
    layers have a known gradient.
    """
    lengths = [*_lengths(plan)]
    return log(lengths[0]) - log(lengths[-1]) if len(lengths) > 1 else None


def critical_gain(planned: Callable[[float], Plan], around: float = 1.0) -> Critical | None:
    """The gain at which gradients are predicted to be as long at the first layer with weights as at the last one.

    Gains a factor of 2 apart are tried first, then the interval in which the drift changes its sign is halved. Where it
    changes nowhere, the gain with the smallest drift is given.

    Args:
        planned: Gives the plan of a network for a gain; a gain that it refuses with ForgeError is left out.
        around: The gain in the middle of those that are tried: from a 16th of it to 16 times it.

    Returns:
        None where gradients are not known or do not depend on the gain, as after norms.

    Example:
        >>> import modelforge as mf
        >>> linear = {"type": "Linear", "out_features": 64}
        >>> layers = {f"layer{n}": block for n in range(9) for block in (linear,)}
        >>> model = {"input": {"shape": [64]}, "layers": layers}
        >>> found = critical_gain(lambda gain: mf.plan(mf.parse(model, init={"scheme": "xavier", "gain": gain})))
        >>> round(found.gain, 3)
        1.0
    """
    known: dict[float, float] = {}

    def look(exponent: float) -> float | None:
        value = None
        with suppress(ForgeError):
            value = drift(planned(around * 2**exponent))
        if value is not None:
            known[exponent] = value
        return value

    for exponent in _outwards():
        look(exponent)
    if not known or max(known.values()) - min(known.values()) < FLAT:
        return None
    crossings = [(low, high) for low, high in pairwise(sorted(known)) if known[low] * known[high] < 0]
    if crossings:
        low, high = min(crossings, key=lambda ends: abs(sum(ends)))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if (value := look(middle)) is None:
                break
            low, high = (middle, high) if value * known[low] > 0 else (low, middle)
    best = min(known, key=lambda exponent: abs(known[exponent]))
    return Critical(around * 2**best, known[best])


def _outwards() -> Iterator[int]:
    yield 0
    for doublings in range(1, SPAN + 1):
        yield from (doublings, -doublings)


def _lengths(plan: Plan) -> Iterator[float]:
    """Squared lengths of the gradients that are known, of what layers with weights give, in order of execution."""
    roles = {parameter.path: parameter.role for parameter in plan.parameters}
    roles |= {name: roles.get(first) for name, first in plan.ties.items()}
    weighted = {
        layer.path
        for layer in plan.layers
        if any(roles.get(f"{layer.path}.{name}") in WEIGHTS for name in layer.parameters)
    }
    for node in predict(plan).nodes:
        signal, gradient = node.signal, node.gradient
        if node.path in weighted and signal is not None and gradient is not None and gradient.energy > 0:
            yield gradient.energy * prod(signal.shape.sizes)
