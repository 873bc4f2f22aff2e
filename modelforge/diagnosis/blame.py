"""blamed: a change of an energy → the init block whose layers change it most, each by its own factor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

from modelforge.diagnosis.changes import Change, Ways
from modelforge.diagnosis.levels import weights_of
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.planning.precedence import Rule

SIZES = frozenset({"gain", "value", "std", "mean", "low", "high", "mode", "a", "b", "alpha", "omega_0", "cutoff"})
"""Fields of initializers that decide how large values are."""


@dataclass(frozen=True, slots=True)
class Blame:
    """An init block, and what it does to an energy."""

    rule: Rule
    weights: Sequence[ParameterPlan]
    """All first weights of layers that it decides the size of."""
    num_layers: int
    """Those on the way of the change."""
    factor: float
    """By which each of them multiplies it, in the geometric mean."""


def blamed(plan: Plan, change: Change, ways: Ways) -> Blame | None:
    """The block to blame; None where no layer on the way has weights.

    Each layer with weights answers for what is between it and the next one, its activation above all.

    Args:
        plan: The network.
        change: The change.
        ways: Those that it was found on.
    """
    weights = weights_of(plan)
    shares: defaultdict[str, list[float]] = defaultdict(list)
    deciding: dict[str, Rule] = {}
    for path, share in _shares(change, ways, weights):
        rule = _decider(weights[path])
        deciding.setdefault(rule.key, rule)
        shares[rule.key].append(share)
    if not shares:
        return None
    sign = 1 if change.factor > 1 else -1
    key = max(shares, key=lambda key: sign * sum(shares[key]))
    every = [weight for weight in weights.values() if _decider(weight).key == key]
    found = shares[key]
    return Blame(deciding[key], every, len(found), exp(sum(found) / len(found)))


def _shares(change: Change, ways: Ways, weights: Mapping[str, ParameterPlan]) -> list[tuple[str, float]]:
    """The layers with weights on the way of a change, each with the logarithm of its own factor."""
    way = change.passed
    energies = ways.undone(change.what, way)
    logs, last = list[float](), 0.0
    for path in way:
        last = log(energies[path]) if path in energies else last
        logs.append(last)
    there = [place for place, path in enumerate(way) if place and path in weights]
    # A layer's factor is that from what it reads to what the next one reads.
    cuts = [0, *(place - 1 for place in there[1:]), len(way) - 1]
    forward = 1 if change.what == "signal" else -1
    return [(way[place], forward * (logs[cuts[at + 1]] - logs[cuts[at]])) for at, place in enumerate(there)]


def _decider(parameter: ParameterPlan) -> Rule:
    """The nearest block that says how large values are; the one with the scheme where none does."""
    known = type(parameter.initializer).model_fields.keys() & SIZES
    rules = (rule for rule in parameter.chain if rule.verdict != "overridden")
    return next((rule for rule in rules if rule.scheme is not None or known & rule.fields.keys()), parameter.rule)
