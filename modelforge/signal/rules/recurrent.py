"""Recurrent layers, step by step: RNN, LSTM and GRU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Activation
from modelforge.signal.moments import Single, single
from modelforge.signal.rule import Index, Node, Passed, Unpredictable, register_signal
from modelforge.signal.rules.dense import as_units, normal_noise
from modelforge.signal.value import FLAT, Gradient, Signal

MAX_STEPS = 20_000
"""Each is computed, which takes about 20 µs."""
SIGMOID = Activation("sigmoid", torch.sigmoid)
TANH = Activation("tanh", torch.tanh)
RELU = Activation("relu", torch.relu)


@dataclass(frozen=True, slots=True)
class Gate:
    """Weights of one gate: σ² of sums over the input and over the state, and its biases."""

    reads: float
    """n·E w² of the weights of the input."""
    recurs: float
    """n·E w² of the weights of the state."""
    sends: float
    """H·E w² of the weights of the input, for gradients."""
    bias: float
    """Mean of what both biases add."""
    bias_variance: float
    """Their variance, that of the state alone in `state_bias`."""
    state_bias: float

    def before(self, activation: Activation, x: float, h: float) -> Single:
        """The moments of the gate for inputs and states of such energies."""
        return single(activation, self.bias, self.reads * x + self.recurs * h + self.bias_variance)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the energies that it read and made, and its gates."""

    x: float
    state: tuple[float, ...]
    """Energies of h (and c) before."""
    made: tuple[float, ...]
    gates: tuple[Single, ...]


class Cell(ABC):
    """One direction of one layer, as energies."""

    num_states = 1

    def __init__(self, gates: Sequence[Gate]) -> None:
        self.gates = tuple(gates)

    @abstractmethod
    def step(self, x: float, state: tuple[float, ...]) -> Step:
        """The energies after a step."""

    @abstractmethod
    def back(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        """The gradient energies of the input and of the states before, from those of the states after."""

    def memory(self, step: Step) -> tuple[float, float]:
        """How much of the state stays in a step, and which part of the energy of h is of that."""
        del step
        return 0.0, 0.0

    def _read(self, deltas: Sequence[float]) -> tuple[float, float]:
        """What gates send back to the input and the state, from the energies before them."""
        x = sum(gate.sends * delta for gate, delta in zip(self.gates, deltas, strict=True))
        return x, sum(gate.recurs * delta for gate, delta in zip(self.gates, deltas, strict=True))


class Plain(Cell):
    """h ← φ(W x + U h + b)."""

    def __init__(self, gates: Sequence[Gate], activation: Activation) -> None:
        super().__init__(gates)
        self.activation = activation

    def step(self, x: float, state: tuple[float, ...]) -> Step:
        gate = self.gates[0].before(self.activation, x, state[0])
        return Step(x, state, (gate.second,), (gate,))

    def back(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        x, h = self._read([arriving[0] * step.gates[0].slope_second])
        return x, (h,)


class Long(Cell):
    """c ← f·c + i·g, h ← o·tanh c (Hochreiter and Schmidhuber 1997); gates in the order i, f, g, o."""

    num_states = 2

    def step(self, x: float, state: tuple[float, ...]) -> Step:
        h, c = state
        kinds = (SIGMOID, SIGMOID, TANH, SIGMOID)
        i, f, g, o = (gate.before(kind, x, h) for gate, kind in zip(self.gates, kinds, strict=True))
        cell = f.second * c + i.second * g.second
        out = single(TANH, 0.0, cell)
        return Step(x, state, (o.second * out.second, cell), (i, f, g, o, out))

    def back(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        i, f, g, o, out = step.gates
        h = arriving[0]
        c = arriving[1] + h * o.second * out.slope_second
        deltas = (
            c * g.second * i.slope_second,
            c * step.state[1] * f.slope_second,
            c * i.second * g.slope_second,
            h * out.second * o.slope_second,
        )
        x, before = self._read(deltas)
        return x, (before, c * f.second)

    def memory(self, step: Step) -> tuple[float, float]:
        _, f, _, o, _ = step.gates
        return f.mean, o.mean**2 / o.second


class Gated(Cell):
    """h ← (1 - z)·n + z·h, n = tanh(W x + b + r·(U h + b′)) (Cho et al. 2014); gates in the order r, z, n."""

    def step(self, x: float, state: tuple[float, ...]) -> Step:
        (h,) = state
        reset, update, new = self.gates
        r, z = reset.before(SIGMOID, x, h), update.before(SIGMOID, x, h)
        inner = new.recurs * h + new.state_bias
        rest = new.bias_variance - new.state_bias
        n = single(TANH, new.bias, new.reads * x + rest + r.second * inner)
        kept = 1 - 2 * z.mean + z.second
        return Step(x, state, (kept * n.second + z.second * h,), (r, z, n))

    def back(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        r, z, n = step.gates
        (h,) = step.state
        new = self.gates[2]
        to_new = arriving[0] * (1 - 2 * z.mean + z.second) * n.slope_second
        to_update = arriving[0] * (n.second + h) * z.slope_second
        to_reset = to_new * (new.recurs * h + new.state_bias) * r.slope_second
        x = sum(gate.sends * delta for gate, delta in zip(self.gates, (to_reset, to_update, to_new), strict=True))
        gates = self.gates[0].recurs * to_reset + self.gates[1].recurs * to_update + new.recurs * to_new * r.second
        return x, (arriving[0] * z.second + gates,)

    def memory(self, step: Step) -> tuple[float, float]:
        return step.gates[1].mean, 1.0


@register_signal("RNN", "LSTM", "GRU")
def recurrent(node: Node) -> Passed:
    """The same weights at each step, taken as if they were drawn again: in wide layers that makes no difference.

    Formula: the energies of gates and states step by step, from states of 0; gradients step by step back
    Source: Chen et al. 2018, arXiv:1806.05394; Gilboa et al. 2019, arXiv:1901.08987
    """
    arguments = node.layer.arguments
    if arguments.get("proj_size"):
        raise Unpredictable("its states are projected")
    signal = as_units(node.signal, -1)
    if signal.shape.sizes[1] > MAX_STEPS:
        raise Unpredictable(f"its sequences have more than {MAX_STEPS:,} steps")
    layers = [_layer(node, number) for number in range(arguments["num_layers"])]
    passes: list[tuple[list[list[Step]], np.ndarray]] = []
    energies = signal.second * signal.profile.get(1, np.ones(signal.shape.sizes[1]))
    for cells in layers:
        steps = [_run(cell, energies if place == 0 else energies[::-1]) for place, cell in enumerate(cells)]
        made = [[step.made[0] for step in one] for one in steps]
        energies = np.mean([one if place == 0 else one[::-1] for place, one in enumerate(made)], axis=0)
        passes.append((steps, energies))
    second = float(energies.mean())
    shape = node.shape(-1, (0,))
    share = _shared(layers[-1][0], passes[-1][0][0])
    output = Signal(
        shape,
        0.0,
        second,
        max(share, _in_time(layers[-1][0], passes[-1][0][0])) * second,
        share * second,
        drift=signal.drift + sum(2 * len(steps[0]) / arguments["hidden_size"] for steps, _ in passes) / 4,
        chance=1 / arguments["hidden_size"],
        profile=FrozenDict({1: energies / second}) if second else FLAT,
    )
    output = replace(output, noise=normal_noise(output))

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        gradient = gradients[(0,)]
        arriving = gradient.energy * gradient.profile.get(1, np.ones(shape.sizes[1]))
        for cells, (steps, _) in zip(reversed(layers), reversed(passes), strict=True):
            sent = [
                _run_back(cell, one, arriving if place == 0 else arriving[::-1])
                for place, (cell, one) in enumerate(zip(cells, steps, strict=True))
            ]
            arriving = np.sum([one if place == 0 else one[::-1] for place, one in enumerate(sent)], axis=0)
        energy = float(arriving.mean())
        profile = FrozenDict({1: arriving / energy}) if energy else FLAT
        drift = gradient.drift + gradient.noise + output.drift
        noise = 2 / (signal.shape.num_units * shape.num_examples)
        return (Gradient(energy, drift=drift, noise=noise, profile=profile),)

    return Passed({(0,): output}, back, note="states taken as normal, correlated in time by biases only")


def _layer(node: Node, number: int) -> list[Cell]:
    """The cells of a layer, one a direction."""
    arguments, kind = node.layer.arguments, node.layer.type
    endings = ["", "_reverse"] if arguments["bidirectional"] else [""]
    cells: list[Cell] = []
    for ending in endings:
        suffix = f"_l{number}{ending}"
        if kind == "LSTM":
            cells.append(Long([_gate(node, suffix, name) for name in "ifgo"]))
        elif kind == "GRU":
            cells.append(Gated([_gate(node, suffix, name) for name in "rzn"]))
        else:
            activation = RELU if arguments["nonlinearity"] == "relu" else TANH
            cells.append(Plain([_gate(node, suffix, None)], activation))
    return cells


def _gate(node: Node, suffix: str, name: str | None) -> Gate:
    reads, recurs = (node.values(f"weight_{part}{suffix}", name) for part in ("ih", "hh"))
    planned = node.parameters[f"weight_hh{suffix}"]
    if any(fill.promise.deterministic and fill.std for _, fill in planned.fills):
        raise Unpredictable(f"`{planned.scheme}` gives {planned.path} fixed values, whose powers are no chance")
    biases = [node.values(f"bias_{part}{suffix}", name) for part in ("ih", "hh")]
    return Gate(
        reads.fan_in * reads.second,
        recurs.fan_in * recurs.second,
        node.layer.arguments["hidden_size"] * reads.second,
        sum(bias.mean for bias in biases),
        sum(bias.std**2 for bias in biases),
        biases[1].std ** 2,
    )


def _run(cell: Cell, energies: np.ndarray) -> list[Step]:
    steps: list[Step] = []
    state = (0.0,) * cell.num_states
    for energy in energies:
        steps.append(cell.step(float(energy), state))
        state = steps[-1].made
    return steps


def _run_back(cell: Cell, steps: list[Step], arriving: np.ndarray) -> np.ndarray:
    sent = np.zeros(len(steps))
    state = (0.0,) * cell.num_states
    for place in range(len(steps) - 1, -1, -1):
        state = (state[0] + float(arriving[place]), *state[1:])
        sent[place], state = cell.back(steps[place], state)
    return sent


def _in_time(cell: Cell, steps: list[Step]) -> float:
    """E h h′ of one unit over pairs of steps, in units of E h²."""
    energies = np.array([step.made[0] for step in steps])
    kept, part = cell.memory(steps[-1])
    length = len(steps)
    if length < 2 or not energies.any():
        return 0.0
    sizes = np.sqrt(energies)
    total, carried = 0.0, 0.0
    for size in sizes:  # the sum over all earlier steps of kept^distance · size
        total += size * carried
        carried = kept * (carried + size)
    return float(part * 2 * total / (length * (length - 1)) / energies.mean())


def _shared(cell: Cell, steps: list[Step]) -> float:
    """The part of the variance before the last gate that biases make, the same in all examples."""
    gate, last = cell.gates[-1], steps[-1]
    total = gate.reads * last.x + gate.recurs * last.state[0] + gate.bias_variance
    return gate.bias_variance / total if total else 0.0
