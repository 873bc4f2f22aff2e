"""Recurrent layers, step by step: RNN, LSTM and GRU, and their cells, which are one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from modelforge.core.frozen import FrozenDict
from modelforge.signal.cells import APART, Alike, Cell, Gate, Gated, Long, Plain, Step
from modelforge.signal.own_values import of_recurrent
from modelforge.signal.rule import Index, Node, Passed, Unpredictable, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise, refuse_mean
from modelforge.signal.steps import likeness, run, run_back
from modelforge.signal.value import FLAT, Gradient, Signal

MAX_STEPS = 20_000
"""Each is computed, which takes about 0.1 ms until states stay the same."""
STACKED = "gradients before it are less sure: those that a layer with gates sends to the one below are taken as normal"
FARTHEST = 500
"""Steps between two of which it is counted how alike they are."""


@register_signal("RNN", "LSTM", "GRU", own_values=of_recurrent)
def recurrent(node: Node) -> Passed:
    """The same weights at each step, taken as if they were drawn again: in wide layers that makes no difference.

    Formula: the energies of gates and states step by step, from states of 0; gradients step by step back; both times
        1/(1 - p) between layers with dropout
    Source: Chen et al. 2018, arXiv:1806.05394; Gilboa et al. 2019, arXiv:1901.08987
    """
    arguments = node.layer.arguments
    signal = as_units(node.signal, -1)
    if signal.shape.sizes[1] > MAX_STEPS:
        raise Unpredictable(f"its sequences have more than {MAX_STEPS:,} steps")
    layers = [_layer(node, number) for number in range(arguments["num_layers"])]
    passes: list[tuple[list[list[Step]], np.ndarray]] = []
    energies = signal.second * signal.profile.get(1, np.ones(signal.shape.sizes[1]))
    alike = Alike(max(0.0, signal.along))
    dropped = arguments["dropout"] if node.training else 0.0
    for number, cells in enumerate(layers):
        energies, alike = _thinned(energies, alike, dropped if number else 0.0)
        steps = [run(cell, energies if place == 0 else energies[::-1], alike) for place, cell in enumerate(cells)]
        made = [[step.made[0] for step in one] for one in steps]
        energies = np.mean([one if place == 0 else one[::-1] for place, one in enumerate(made)], axis=0)
        passes.append((steps, energies))
        near = likeness(cells[0], steps[0][-1], 2)
        alike = Alike(float(near[0] * energies.mean()), float(near[1] / near[0]) if near[0] else 1.0)
    second = float(energies.mean())
    shape = node.shape(-1, (0,))
    share = _shared(layers[-1][0], passes[-1][0][0])
    mean, near = _mean(passes[-1][0]), max(share, _in_time(layers[-1][0], passes[-1][0][0]))
    output = Signal(
        shape,
        mean,
        second,
        mean**2 + near * (second - mean**2),
        mean**2 + share * (second - mean**2),
        drift=signal.drift + sum(2 * len(steps[0]) / arguments["hidden_size"] for steps, _ in passes) / 4,
        chance=1 / shape.num_units,
        profile=FrozenDict({1: energies / second}) if second else FLAT,
    )
    output = replace(output, noise=normal_noise(output))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        gradient = gradients[(0,)]
        arriving = gradient.energy * gradient.profile.get(1, np.ones(shape.sizes[1]))
        alike = Alike(max(0.0, gradient.along) / gradient.energy) if gradient.energy else APART
        for cells, (steps, _) in zip(reversed(layers), reversed(passes), strict=True):
            sent = [
                run_back(cell, one, arriving if place == 0 else arriving[::-1], alike)
                for place, (cell, one) in enumerate(zip(cells, steps, strict=True))
            ]
            arriving = np.sum([one if place == 0 else one[::-1] for place, (one, _) in enumerate(sent)], axis=0)
            alike = sent[0][1]
            arriving, alike = _thinned(arriving, alike, dropped if cells is not layers[0] else 0.0)
        energy = float(arriving.mean())
        profile = FrozenDict({1: arriving / energy}) if energy else FLAT
        drift = gradient.drift + gradient.noise + output.drift
        noise = 2 / (signal.shape.num_units * shape.num_examples)
        return (Gradient(energy, drift=drift, noise=noise, profile=profile),)

    gated = arguments["num_layers"] > 1 and node.layer.type != "RNN"
    return Passed({(0,): output}, back, note=STACKED if gated else "states taken as normal")


@register_signal("RNNCell", "LSTMCell", "GRUCell", own_values=of_recurrent)
def one_step(node: Node) -> Passed:
    """One step from the states that are given, or from states of 0."""
    known = [as_units(signal, -1) for signal in node.signals if signal is not None]
    if len(known) < len(node.signals):
        raise Unpredictable("it reads what is not known")
    cell = _cell(node, "")
    x, states = known[0], known[1:]
    step = cell.step(x.second, (*(state.second for state in states), *[0.0] * (cell.num_states + 1 - len(states))))
    indices: list[Index] = [(0,), (1,)] if isinstance(node.layer.output, tuple) else [()]
    outputs: dict[Index, Signal] = {}
    for index, energy in zip(indices, step.made, strict=False):
        shape = node.shape(-1, index)
        share = _shared(cell, [step])
        alike = [share + (1 - share) * of / x.second if x.second else 1.0 for of in (x.along, x.across)]
        drift = sum(one.drift + one.noise for one in known)
        mean = step.mean
        near, far = (mean**2 + of * (energy - mean**2) for of in alike)
        made = Signal(shape, mean, energy, near, far, drift=drift, chance=1 / shape.num_units)
        outputs[index] = replace(made, noise=normal_noise(made))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        given = [gradients.get(index) for index in indices]
        first = next(one for one in given if one is not None)
        to_x, to_states = cell.back(step, (*(0.0 if one is None else one.energy for one in given), 0.0))
        drift = first.drift + first.noise + outputs[indices[0]].drift
        energies = (to_x, *to_states)[: len(known)]
        return tuple(
            Gradient(energy, drift=drift, noise=2 / read.shape.num_units / read.shape.num_examples)
            for energy, read in zip(energies, known, strict=True)
        )

    return Passed(outputs, back, note="states taken as normal")


def _thinned(energies: np.ndarray, alike: Alike, dropped: float) -> tuple[np.ndarray, Alike]:
    """What dropout between layers makes of energies; as masks of two steps are independent, likeness stays."""
    return (energies / (1 - dropped), alike) if dropped < 1 else (0 * energies, APART)


def _layer(node: Node, number: int) -> list[Cell]:
    """The cells of a layer, one a direction."""
    endings = ["", "_reverse"] if node.layer.arguments["bidirectional"] else [""]
    return [_cell(node, f"_l{number}{ending}") for ending in endings]


def _cell(node: Node, suffix: str) -> Cell:
    arguments, kind = node.layer.arguments, node.layer.type
    if kind.startswith("GRU"):
        return Gated([_gate(node, suffix, name) for name in "rzn"])
    if kind.startswith("RNN"):
        return Plain([_gate(node, suffix, None)], arguments["nonlinearity"])
    gates = [_gate(node, suffix, name) for name in "ifgo"]
    if not arguments.get("proj_size"):
        return Long(gates)
    square = node.values(f"weight_hr{suffix}").second
    return Long(gates, arguments["hidden_size"] * square, arguments["proj_size"] * square)


def _gate(node: Node, suffix: str, name: str | None) -> Gate:
    reads, recurs = (node.values(f"weight_{part}{suffix}", name) for part in ("ih", "hh"))
    planned = node.parameters[f"weight_hh{suffix}"]
    if recurs.patterned:
        raise Unpredictable(f"`{planned.scheme}` gives {planned.path} fixed values, whose powers are no chance")
    for weight in (reads, recurs):
        refuse_mean(weight, weight.fan_in)
    hidden = node.layer.arguments["hidden_size"]
    biases = [node.values(f"bias_{part}{suffix}", name) for part in ("ih", "hh")]
    return Gate(
        reads.fan_in * reads.second,
        recurs.fan_in * recurs.second,
        hidden * reads.second,
        hidden * recurs.second,
        sum(bias.mean for bias in biases),
        sum(bias.std**2 for bias in biases),
        biases[1].std ** 2,
    )


def _in_time(cell: Cell, steps: list[Step]) -> float:
    """E h h′ of one unit over pairs of steps, in units of E h²."""
    energies = np.array([step.made[0] for step in steps])
    length = len(steps)
    if length < 2 or not energies.any():
        return 0.0
    sizes = np.sqrt(energies)
    near = likeness(cell, steps[-1], min(length - 1, FARTHEST))
    total = sum(float(part * (sizes[:-lag] @ sizes[lag:])) for lag, part in enumerate(near, start=1))
    return 2 * total / (length * (length - 1)) / float(energies.mean())


def _mean(steps: list[list[Step]]) -> float:
    """E h over steps and directions; 0 but after a rectifier."""
    return float(np.mean([step.mean for one in steps for step in one]))


def _shared(cell: Cell, steps: list[Step]) -> float:
    """The part of the variance before the last gate that biases make, the same in all examples."""
    gate, last = cell.gates[-1], steps[-1]
    total = gate.reads * last.x + gate.recurs * last.state[0] + gate.bias_variance
    return gate.bias_variance / total if total else 0.0
