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
Kind = Literal["sigmoid", "tanh", "relu"]

_Z = np.linspace(-REACH, REACH, POINTS)
_WEIGHTS = np.exp(-(_Z**2) / 2) / np.exp(-(_Z**2) / 2).sum()


@dataclass(frozen=True, slots=True)
class GateMoments:
    """Moments of φ(x), x normal."""

    mean: float
    second: float
    slope: float
    """E φ′."""
    slope_second: float
    """E φ′²."""


def moments(kinds: Sequence[Kind], means: Sequence[float], variances: Sequence[float]) -> list[GateMoments]:
    """The moments of several functions of normal numbers, all at once; that of a rectifier by its formula."""
    if "relu" in kinds:
        return [_rectified(mean, variance) for mean, variance in zip(means, variances, strict=True)]
    # tanh x = 2σ(2x) - 1
    double = np.array([1.0 if kind == "sigmoid" else 2.0 for kind in kinds])[:, None]
    x = np.array(means)[:, None] + np.sqrt(np.array(variances))[:, None] * _Z
    shares = 1 / (1 + np.exp(np.minimum(-double * x, 700.0)))
    values, slopes = double * shares - (double - 1), double**2 * shares * (1 - shares)
    found = [part @ _WEIGHTS for part in (values, values**2, slopes, slopes**2)]
    return [GateMoments(*numbers) for numbers in zip(*(part.tolist() for part in found), strict=True)]


def _rectified(mean: float, variance: float) -> GateMoments:
    if variance == 0:
        return GateMoments(max(0.0, mean), max(0.0, mean) ** 2, float(mean > 0), float(mean > 0))
    ratio = mean / sqrt(variance)
    above, density = (1 + erf(ratio / sqrt(2))) / 2, sqrt(variance / (2 * pi)) * exp(-(ratio**2) / 2)
    return GateMoments(mean * above + density, (mean**2 + variance) * above + mean * density, above, above)


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
class Alike:
    """How alike the numbers of two steps are: their covariance in neighbouring ones, and its factor for each more."""

    covariance: float = 0.0
    decay: float = 1.0


APART = Alike()


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the energies that it read and made, and its gates."""

    x: float
    state: tuple[float, ...]
    """Energies of h (and c) before; last the covariance of what is kept with what comes next."""
    made: tuple[float, ...]
    gates: tuple[GateMoments, ...]
    alike: Alike = APART
    """How alike it and the step before are before the gate of what is added."""
    mean: float = 0.0
    """Of h."""


class Cell(ABC):
    """One direction of one layer, as energies.

    What a gate keeps of a state and what it adds have a covariance where inputs of two steps are alike, and so have the
    gradients that arrive from two steps.
    """

    num_states = 1
    """Of h and c; the covariance that `Step.state` ends with is none."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self.gates = tuple(gates)

    @abstractmethod
    def step(self, x: float, state: tuple[float, ...], alike: Alike = APART) -> Step:
        """The energies after a step."""

    @abstractmethod
    def back(self, step: Step, arriving: tuple[float, ...], alike: Alike = APART) -> tuple[float, tuple[float, ...]]:
        """The gradient energies of the input and of the states before, from those of the states after."""

    def memory(self, step: Step) -> tuple[float, float, float]:
        """How much of the state stays in a step, what comes to it of numbers alike, in units of its energy, and which
        part of the energy of h is of that."""
        del step
        return 0.0, 0.0, 0.0

    def gathered(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, float]:
        """The energy of the gradient that a step passes on in part, and its covariance with that of the step after,
        beyond what it has from there."""
        del step
        return arriving[0], 0.0

    def sent(self, step: Step, alike: Alike | None = None) -> Alike:
        """How alike the gradients are that two steps send to their inputs, in units of their energy.

        Args:
            step: One of them.
            alike: How alike what they gather is, in units of its energy; None for what stays of step to step alone.
        """
        del step, alike
        return APART

    def _gates(self, kinds: Sequence[Kind], x: float, h: float) -> list[GateMoments]:
        variances = [gate.before(x, h) for gate in self.gates[: len(kinds)]]
        return moments(kinds, [gate.bias for gate in self.gates[: len(kinds)]], variances)

    def _both(self, outside: Alike, step: Step, recurrent: float) -> Alike:
        """How alike gradients of neighbouring steps are that arrive from outside, and by the recurrent weights."""
        sent = self.sent(step)
        inside = sent.covariance * recurrent
        total = outside.covariance + inside
        decay = (outside.covariance * outside.decay + inside * sent.decay) / total if total else 1.0
        return Alike(total, decay)

    def _read(self, deltas: Sequence[float]) -> tuple[float, float]:
        """What gates send back to the input and the state, from the energies before them."""
        x = sum(gate.sends * delta for gate, delta in zip(self.gates, deltas, strict=True))
        return x, sum(gate.returns * delta for gate, delta in zip(self.gates, deltas, strict=True))


def _over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _before(gate: Gate, inputs: Alike, states: Alike, reset: float = 1.0) -> Alike:
    """How alike two steps are before a gate, as their inputs, states and biases are: biases stay.

    Args:
        gate: The gate.
        inputs: Of the inputs.
        states: Of the states.
        reset: What the states are multiplied by.
    """
    parts = (
        (gate.reads * inputs.covariance, inputs.decay),
        (reset * gate.recurs * states.covariance, states.decay),
        (gate.bias_variance, 1.0),
    )
    total = sum(part for part, _ in parts)
    return Alike(total, sum(part * decay for part, decay in parts) / total) if total else APART


def _common(found: GateMoments, alike: Alike) -> float:
    """E φ φ′ of neighbouring steps, to first order in the covariance of what is before the gate."""
    return min(found.second, found.slope**2 * alike.covariance)


def _states(energy: float, kept: float, coming: float, part: float, decay: float) -> Alike:
    """How alike states are of which a part is kept, and to which something alike comes."""
    whole = kept + coming
    if whole <= 0:
        return APART
    return Alike(energy * part * min(1.0, whole), min(1.0, kept + coming * decay / whole))


class Plain(Cell):
    """h ← φ(W x + U h + b)."""

    def __init__(self, gates: Sequence[Gate], kind: Kind) -> None:
        super().__init__(gates)
        self.kind: Kind = kind

    def step(self, x: float, state: tuple[float, ...], alike: Alike = APART) -> Step:
        del alike  # nothing is kept
        (gate,) = self._gates((self.kind,), x, state[0])
        return Step(x, state, (gate.second, 0.0), (gate,), mean=gate.mean)

    def back(self, step: Step, arriving: tuple[float, ...], alike: Alike = APART) -> tuple[float, tuple[float, ...]]:
        del alike
        x, h = self._read([arriving[0] * step.gates[0].slope_second])
        return x, (h, 0.0)


class Long(Cell):
    """c ← f·c + i·g, h ← o·tanh c (Hochreiter and Schmidhuber 1997); gates in the order i, f, g, o."""

    num_states = 2

    def __init__(self, gates: Sequence[Gate], forth: float = 1.0, back: float = 1.0) -> None:
        super().__init__(gates)
        self.projected = forth, back
        """n·E w² of a projection of h: over what it reads, and over what it makes."""

    def step(self, x: float, state: tuple[float, ...], alike: Alike = APART) -> Step:
        h, c, both = state
        i, f, g, o = self._gates(("sigmoid", "sigmoid", "tanh", "sigmoid"), x, h)
        cell = f.second * c + i.second * g.second + 2 * f.mean * i.mean * both
        (out,) = moments(("tanh",), (0.0,), (cell,))
        states = _states(h, f.mean, i.mean * _over(both, c), o.mean**2 / o.second, alike.decay)
        before = _before(self.gates[2], alike, states)
        coming = before.decay * f.mean * both + i.mean * _common(g, before)
        return Step(x, state, (self.projected[0] * o.second * out.second, cell, coming), (i, f, g, o, out), before)

    def back(self, step: Step, arriving: tuple[float, ...], alike: Alike = APART) -> tuple[float, tuple[float, ...]]:
        i, f, g, o, out = step.gates
        h, reach, c = self._arrived(step, arriving)
        deltas = (
            c * g.second * i.slope_second,
            c * step.state[1] * f.slope_second,
            c * i.second * g.slope_second,
            h * out.second * o.slope_second,
        )
        x, before = self._read(deltas)
        both = self._both(alike, step, before)
        return x, (before, c * f.second, f.mean * (both.decay * arriving[2] + reach * both.covariance))

    def _arrived(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, float, float]:
        """The gradient energy of h, how much of the gradient itself reaches c, and the energy that c has then."""
        o, out = step.gates[3:]
        h, reach = self.projected[1] * arriving[0], self.projected[1] ** 0.5 * o.mean * out.slope
        return h, reach, arriving[1] + h * o.second * out.slope_second + 2 * reach * arriving[2]

    def gathered(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, float]:
        _, reach, c = self._arrived(step, arriving)
        return c, _over(reach * arriving[2], step.gates[1].mean)

    def memory(self, step: Step) -> tuple[float, float, float]:
        i, f, _, o, _ = step.gates
        return f.mean, i.mean * _over(step.made[2], step.made[1]), o.mean**2 / o.second

    def sent(self, step: Step, alike: Alike | None = None) -> Alike:
        i, f, g, _, _ = step.gates
        alike = alike or Alike(f.mean, f.mean)
        whole = i.second * g.slope_second + g.second * i.slope_second + step.state[1] * f.slope_second
        return Alike(_over(alike.covariance * (i.mean * g.slope) ** 2, whole), alike.decay)


class Gated(Cell):
    """h ← (1 - z)·n + z·h, n = tanh(W x + b + r·(U h + b′)) (Cho et al. 2014); gates in the order r, z, n."""

    def step(self, x: float, state: tuple[float, ...], alike: Alike = APART) -> Step:
        h, both = state
        r, z = self._gates(("sigmoid", "sigmoid"), x, h)
        new = self.gates[2]
        inner = new.recurs * h + new.state_bias
        rest = new.bias_variance - new.state_bias
        (n,) = moments(("tanh",), (new.bias,), (new.reads * x + rest + r.second * inner,))
        kept = 1 - 2 * z.mean + z.second
        states = _states(h, z.mean, (1 - z.mean) * _over(both, h), 1.0, alike.decay)
        before = _before(new, alike, states, r.mean**2)
        coming = before.decay * z.mean * both + (1 - z.mean) * _common(n, before)
        made = kept * n.second + z.second * h + 2 * (z.mean - z.second) * both
        return Step(x, state, (made, coming), (r, z, n), before)

    def back(self, step: Step, arriving: tuple[float, ...], alike: Alike = APART) -> tuple[float, tuple[float, ...]]:
        r, z, n = step.gates
        h = step.state[0]
        new = self.gates[2]
        total = arriving[0] + 2 * arriving[1]
        to_new = total * (1 - 2 * z.mean + z.second) * n.slope_second
        to_update = total * (n.second + h) * z.slope_second
        to_reset = to_new * (new.recurs * h + new.state_bias) * r.slope_second
        x = sum(gate.sends * delta for gate, delta in zip(self.gates, (to_reset, to_update, to_new), strict=True))
        gates = self.gates[0].returns * to_reset + self.gates[1].returns * to_update
        gates += new.returns * to_new * r.second
        both = self._both(alike, step, gates)
        return x, (total * z.second + gates, z.mean * (both.decay * arriving[1] + both.covariance))

    def gathered(self, step: Step, arriving: tuple[float, ...]) -> tuple[float, float]:
        return arriving[0] + 2 * arriving[1], _over(arriving[1], step.gates[1].mean)

    def memory(self, step: Step) -> tuple[float, float, float]:
        update = step.gates[1].mean
        return update, (1 - update) * _over(step.made[1], step.made[0]), 1.0

    def sent(self, step: Step, alike: Alike | None = None) -> Alike:
        _, z, n = step.gates
        alike = alike or Alike(z.mean, z.mean)
        kept = 1 - 2 * z.mean + z.second
        whole = kept * n.slope_second + (n.second + step.state[0]) * z.slope_second
        return Alike(_over(alike.covariance * ((1 - z.mean) * n.slope) ** 2, whole), alike.decay)
