"""Cells of recurrent layers, as energies: what one step makes of an input and a state, and sends back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, exp, pi, sqrt
from typing import Literal

import numpy as np

REACH, POINTS = 9.0, 720
"""Ends and number of the points of integrals over a normal number; the functions are smooth."""
SAME = 1e-12
"""The relative change of states in a step after which they are the same from then on."""
Kind = Literal["sigmoid", "tanh", "relu"]

_Z = np.linspace(-REACH, REACH, POINTS)
_WEIGHTS = np.exp(-(_Z**2) / 2) / np.exp(-(_Z**2) / 2).sum()


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of φ(x), x normal."""

    mean: float
    second: float
    slope_second: float
    """E φ′²."""


def moments(kinds: Sequence[Kind], means: Sequence[float], variances: Sequence[float]) -> list[Moments]:
    """The moments of several functions of normal numbers, all at once; that of a rectifier by its formula."""
    if "relu" in kinds:
        return [_rectified(mean, variance) for mean, variance in zip(means, variances, strict=True)]
    # tanh x = 2σ(2x) - 1
    double = np.array([1.0 if kind == "sigmoid" else 2.0 for kind in kinds])[:, None]
    x = np.array(means)[:, None] + np.sqrt(np.array(variances))[:, None] * _Z
    shares = 1 / (1 + np.exp(np.minimum(-double * x, 700.0)))
    values, slopes = double * shares - (double - 1), double**2 * shares * (1 - shares)
    found = [values @ _WEIGHTS, values**2 @ _WEIGHTS, slopes**2 @ _WEIGHTS]
    return [Moments(*numbers) for numbers in zip(*(part.tolist() for part in found), strict=True)]


def _rectified(mean: float, variance: float) -> Moments:
    if variance == 0:
        return Moments(max(0.0, mean), max(0.0, mean) ** 2, float(mean > 0))
    ratio = mean / sqrt(variance)
    above, density = (1 + erf(ratio / sqrt(2))) / 2, sqrt(variance / (2 * pi)) * exp(-(ratio**2) / 2)
    return Moments(mean * above + density, (mean**2 + variance) * above + mean * density, above)


@dataclass(frozen=True, slots=True)
class Gate:
    """Weights of one gate: σ² of sums over the input and over the state, and its biases."""

    reads: float
    """n·E w² of the weights of the input."""
    recurs: float
    """n·E w² of the weights of the state."""
    sends: float
    """H·E w² of the weights of the input, for gradients."""
    returns: float
    """H·E w² of the weights of the state, for gradients."""
    bias: float
    """Mean of what both biases add."""
    bias_variance: float
    """Their variance, that of the state alone in `state_bias`."""
    state_bias: float

    def before(self, x: float, h: float) -> float:
        """The variance before the gate, for inputs and states of such energies."""
        return self.reads * x + self.recurs * h + self.bias_variance


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the energies that it read and made, and its gates."""

    x: float
    state: tuple[float, ...]
    """Energies of h (and c) before."""
    made: tuple[float, ...]
    gates: tuple[Moments, ...]


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

    def _gates(self, kinds: Sequence[Kind], x: float, h: float) -> list[Moments]:
        variances = [gate.before(x, h) for gate in self.gates[: len(kinds)]]
        return moments(kinds, [gate.bias for gate in self.gates[: len(kinds)]], variances)

    def _read(self, deltas: Sequence[float]) -> tuple[float, float]:
        """What gates send back to the input and the state, from the energies before them."""
        x = sum(gate.sends * delta for gate, delta in zip(self.gates, deltas, strict=True))
        return x, sum(gate.returns * delta for gate, delta in zip(self.gates, deltas, strict=True))


class Plain(Cell):
    """h ← φ(W x + U h + b)."""

    def __init__(self, gates: Sequence[Gate], kind: Kind) -> None:
        super().__init__(gates)
        self.kind: Kind = kind

    def step(self, x: float, state: tuple[float, ...]) -> Step:
        (gate,) = self._gates((self.kind,), x, state[0])
        return Step(x, state, (gate.second,), (gate,))

    def back(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        x, h = self._read([arriving[0] * step.gates[0].slope_second])
        return x, (h,)


class Long(Cell):
    """c ← f·c + i·g, h ← o·tanh c (Hochreiter and Schmidhuber 1997); gates in the order i, f, g, o."""

    num_states = 2

    def __init__(self, gates: Sequence[Gate], forth: float = 1.0, back: float = 1.0) -> None:
        super().__init__(gates)
        self.projected = forth, back
        """n·E w² of a projection of h: over what it reads, and over what it makes."""

    def step(self, x: float, state: tuple[float, ...]) -> Step:
        h, c = state
        i, f, g, o = self._gates(("sigmoid", "sigmoid", "tanh", "sigmoid"), x, h)
        cell = f.second * c + i.second * g.second
        (out,) = moments(("tanh",), (0.0,), (cell,))
        return Step(x, state, (self.projected[0] * o.second * out.second, cell), (i, f, g, o, out))

    def back(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        i, f, g, o, out = step.gates
        h = self.projected[1] * arriving[0]
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
        r, z = self._gates(("sigmoid", "sigmoid"), x, h)
        new = self.gates[2]
        inner = new.recurs * h + new.state_bias
        rest = new.bias_variance - new.state_bias
        (n,) = moments(("tanh",), (new.bias,), (new.reads * x + rest + r.second * inner,))
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
        gates = self.gates[0].returns * to_reset + self.gates[1].returns * to_update
        gates += new.returns * to_new * r.second
        return x, (arriving[0] * z.second + gates,)

    def memory(self, step: Step) -> tuple[float, float]:
        return step.gates[1].mean, 1.0


def run(cell: Cell, energies: np.ndarray) -> list[Step]:
    """All steps from states of 0; where nothing changes any more, the rest is the same."""
    steps: list[Step] = []
    state = (0.0,) * cell.num_states
    for energy in energies.tolist():
        last = steps[-1] if steps else None
        stays = last is not None and last.x == energy and _same(last.state, state)
        steps.append(last if stays and last is not None else cell.step(energy, state))
        state = steps[-1].made
    return steps


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) <= SAME * abs(b) for a, b in zip(one, other, strict=True))


def run_back(cell: Cell, steps: list[Step], arriving: np.ndarray) -> np.ndarray:
    """The gradient energies of the inputs of all steps, from those of what steps give."""
    sent = np.zeros(len(steps))
    state = (0.0,) * cell.num_states
    for place in range(len(steps) - 1, -1, -1):
        state = (state[0] + float(arriving[place]), *state[1:])
        sent[place], state = cell.back(steps[place], state)
    return sent
