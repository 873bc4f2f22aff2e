"""The condition that each layer with weights meets in `solve`, and the sizes of its weights that follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.inits.fills import CONSTANT
from modelforge.planning.assign import ParameterPlan
from modelforge.signal.levers import Lever
from modelforge.signal.retuned import retuned, root_mean_square
from modelforge.signal.rule import Node, Passed, SignalRule
from modelforge.signal.rules.dense import as_units
from modelforge.signal.value import Gradient, Signal

ROUNDS = 200
"""Tries after which an iteration on one layer ends in any case."""
ENOUGH = 1e-4
"""The relative change of a size after which an iteration ends."""
LEAST_SHARE = 0.05
"""Of the energy before a recurrent activation, what the input makes at least."""
DAMPED = 0.65
"""The part of a step that is taken, as larger recurrent weights leave the input less, which makes slopes steeper."""
LARGEST_STEP = 4.0
"""By how much the energy of recurrent weights changes in one try at most."""
VANISHED = 1e-100
"""Stands for a factor of a step that underflows to 0."""


class Unsolvable(Exception):
    """No size of the weights meets the condition; the message says why."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is required of one layer."""

    energy: float = 1.0
    """E x² of what it gives, if it counts alone."""
    passes: float = 1.0
    """E g² of what it passes on, in units of what it gets."""
    passed: float | None = None
    """E g² that it passes on by weights of E w² = 1, in units of what it gets; None where gradients do not count."""
    excess: float = 1.0
    """By how much what it reads exceeds what signals alone would require."""
    forward: bool = True
    """Whether signals count."""


def met(node: Node, rule: SignalRule, lever: Lever, condition: Condition) -> Node:
    """The layer with weights of the sizes that meet the condition.

    Raises:
        Unsolvable: no size does.
        Unpredictable: its rule cannot say what it does.
    """
    for name in lever.inner:
        parameter = node.parameters[name]
        read = _reads(node, parameter)
        node = _with(node, {name: 1 / sqrt(_fan_in(parameter) * _positive(read.second))})
    if lever.recurrent:
        return _recurrent(node, rule, lever)
    return _weighted(node, rule, lever.main, condition)


def _weighted(node: Node, rule: SignalRule, names: Sequence[str], condition: Condition) -> Node:
    """E y² = E w²·a + b: the rest follows from the energies for two sizes of the weights."""
    silent = output_of(rule.ask(_silent(node, names))).second
    if condition.forward and silent >= condition.energy:
        raise Unsolvable(f"its bias alone gives an energy of {silent:.3g}")
    for _ in range(ROUNDS):
        square = _size(node, names[-1]) ** 2
        energy = output_of(rule.ask(node)).second
        signals = square * (condition.energy - silent) / _positive(energy - silent) if condition.forward else None
        gradients = None if condition.passed is None else condition.passes / _positive(condition.passed)
        wanted = _compromise(signals, gradients, condition.excess)
        if abs(wanted / square - 1) < ENOUGH:
            break
        factor = sqrt(wanted / square)
        node = _with(node, {name: factor * _size(node, name) for name in names})
    return node


def _compromise(signals: float | None, gradients: float | None, excess: float) -> float:
    if signals is None or gradients is None:
        both = signals if gradients is None else gradients
        assert both is not None, "signals or gradients count"
        return both
    return sqrt(signals * excess * gradients)


def _recurrent(node: Node, rule: SignalRule, lever: Lever) -> Node:
    """Sizes for which the energy before the activation ends at 1, and gradients keep theirs from step to step.

    Where there are gates, they decide how long a state stays: recurrent weights then keep norms, as projections of
    states do, and the input makes an energy of 1 before each gate.
    """
    x = as_units(node.signal, -1).second
    steps = node.signal.shape.sizes[1]
    is_tuned = steps > 3 and all(len(node.parameters[name].fills) == 1 for name in lever.recurrent)
    for _ in range(ROUNDS if is_tuned else 1):
        before, output = node, output_of(rule.ask(node))
        if is_tuned:
            factor = max(_over_time(node, rule, steps), VANISHED) ** -DAMPED
            step = float(np.clip(factor, 1 / LARGEST_STEP, LARGEST_STEP))
            sizes = {name: sqrt(_size(node, name) ** 2 * step) for name in lever.recurrent}
            last = lever.recurrent[-1]
            states = _fan_in(node.parameters[last]) * sizes[last] ** 2 * output.second * _ends(output, steps)
        else:
            sizes = {name: sqrt(1 / _fan_in(node.parameters[name])) for name in lever.recurrent}
            states = 0.0
        share = max(LEAST_SHARE, 1 - states)
        node = _with(node, sizes)
        for number in range(node.layer.arguments["num_layers"]):
            read = _made(node, rule, number) if number else x
            for name in lever.main:
                if name.removesuffix("_reverse").endswith(f"_l{number}"):
                    energy = 1.0 if name.startswith("weight_hr") else _positive(read) / share
                    sizes[name] = 1 / sqrt(_fan_in(node.parameters[name]) * energy)
            node = _with(node, {name: sizes[name] for name in lever.main if name in sizes})
        if all(abs(_size(node, name) / (_size(before, name) or 1.0) - 1) < ENOUGH for name in sizes):
            break
    return node


def _made(node: Node, rule: SignalRule, number: int) -> float:
    """The energy that the first of several recurrent layers in one give to the next, after the dropout between."""
    arguments = FrozenDict({**node.layer.arguments, "num_layers": number})
    made = output_of(rule.predict(replace(node, layer=replace(node.layer, arguments=arguments))))
    return made.second / (1 - arguments["dropout"]) if arguments["dropout"] < 1 else 0.0


def _ends(output: Signal, steps: int) -> float:
    """The energy of the state before the last step, in units of the mean."""
    return float(output.profile.get(1, np.ones(steps))[-2])


def _over_time(node: Node, rule: SignalRule, steps: int) -> float:
    """By how much a step multiplies the energy of the gradient that a loss after the last step sends back."""
    result = rule.ask(node)
    index = next(iter(result.outputs))
    last = np.zeros(steps)
    last[-1] = steps
    (back,) = result.back({index: Gradient(1.0, profile=FrozenDict({1: last}))})
    assert back is not None, "a recurrent layer passes gradients on"
    arriving = back.energy * back.profile.get(1, np.ones(steps))
    return float((arriving[0] / _positive(float(arriving[-2]))) ** (1 / (steps - 2)))


def output_of(result: Passed) -> Signal:
    """The first of what a layer gives."""
    return next(iter(result.outputs.values()))


def _reads(node: Node, parameter: ParameterPlan) -> Signal:
    """What the projection of an attention reads."""
    attention = parameter.fills[0][0].attention
    place = 0 if attention is None else "qkv".index(attention.projections[0])
    known = [signal for signal in node.signals if signal is not None]
    crossed = len(known) == len(node.signals) and len(known) > 1
    return as_units(known[min(place, len(known) - 1)] if crossed else known[0], -1)


def _fan_in(parameter: ParameterPlan) -> float:
    return next(matrix.fan_in for matrix, _ in parameter.fills if matrix.fixed is None)


def _size(node: Node, name: str) -> float:
    return root_mean_square(node.parameters[name]) or 0.0


def _positive(energy: float) -> float:
    if energy <= 0:
        raise Unsolvable("what it reads has no energy")
    return energy


def _with(node: Node, sizes: Mapping[str, float]) -> Node:
    """The layer with weights of other sizes."""
    return replace(node, parameters=FrozenDict({**node.parameters, **dict(_resized(node, sizes))}))


def _resized(node: Node, sizes: Mapping[str, float]) -> Iterator[tuple[str, ParameterPlan]]:
    for name, size in sizes.items():
        if (found := retuned(node.parameters[name], size)) is None:
            raise Unsolvable(f"no field of `{node.parameters[name].scheme}` gives it a std of {size:.4g}")
        yield name, found.after


def _silent(node: Node, names: Sequence[str]) -> Node:
    """The layer with weights of 0."""
    parameters = dict(node.parameters)
    for name in names:
        fills = tuple((matrix, replace(fill, promise=CONSTANT)) for matrix, fill in parameters[name].fills)
        parameters[name] = replace(parameters[name], mean=0.0, std=0.0, fills=fills)
    return replace(node, parameters=FrozenDict(parameters))
