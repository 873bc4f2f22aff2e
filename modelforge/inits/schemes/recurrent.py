"""Schemes of recurrent layers: identities that carry the state on, and the biases of gates."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits.base import DrawsPer, Elementwise
from modelforge.inits.fields import LIMIT, Positive, Real
from modelforge.inits.laws.law import Constant, Drawn, Law
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.identity import OneToOne

_LSTM = MappingProxyType({"i": "input", "f": "forget", "g": "cell", "o": "output"})
_GRU = MappingProxyType({"r": "reset", "z": "update", "n": "new"})


@register_initializer("irnn")
class IRNN(OneToOne):
    """A multiple of the identity for each recurrent matrix: a state without input stays, or decays by `alpha`.

    Formula: W_hh = alpha·I for each gate; with it W_ih ~ N(0, 0.001²), zero biases and ReLU
    Source: Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear units,
        arXiv:1504.00941 (0.01 where long memory is not needed)
    """

    alpha: Positive = 1.0
    """The multiple."""

    def kernel(self, matrix: Matrix) -> np.ndarray:
        rows, columns, *taps = matrix.shape
        if taps or rows != columns:
            reason = f"`irnn` needs a square matrix, but this is {' x '.join(map(str, matrix.shape))}"
            raise Refusal(reason, "it is for `recurrent:`; elsewhere use `eye` or `orthogonal`")
        return np.array(self.alpha)


@register_initializer("gates")
class Gates(Elementwise):
    """A constant bias for each gate of an LSTM or GRU; the two biases of torch's layers add up to it.

    Formula: b_ih + b_hh = the value of the gate (all in b_ih; b_hh = 0)
    Source: Gers, Schmidhuber and Cummins, Learning to forget, 2000; Jozefowicz, Zaremba and Sutskever, ICML 2015, for
        `forget: 1`
    """

    input: Real = 0.0
    """LSTM: input gate."""
    forget: Real = 0.0
    """LSTM: forget gate; 1 lets memory last from the start."""
    cell: Real = 0.0
    """LSTM: candidate cell state."""
    output: Real = 0.0
    """LSTM: output gate."""
    reset: Real = 0.0
    """GRU: reset gate."""
    update: Real = 0.0
    """GRU: update gate; 1 lets the state last from the start."""
    new: Real = 0.0
    """GRU: candidate state (of its two biases, the one outside the reset gate)."""

    def law(self, matrix: Matrix) -> Law:
        total = self._total(matrix)
        return Constant(0.0 if matrix.addend else total)

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return {"gate": gate_of(matrix, "gates"), "total": self._total(matrix)}

    def _total(self, matrix: Matrix) -> float:
        gate = gate_of(matrix, "gates")
        gates = (_LSTM if matrix.name in _LSTM else _GRU).values()
        for field in type(self).model_fields:
            if field in self.model_fields_set and field not in gates:
                known = ", ".join(f"`{gate}`" for gate in gates)
                raise Refusal(f"this layer has no `{field}` gate", f"its gates are {known}")
        return float(getattr(self, gate))


def gate_of(matrix: Matrix, scheme: str) -> str:
    """The name of the gate whose bias the matrix is.

    Raises:
        Refusal: it belongs to no gate, or is a weight.
    """
    gate = {**_LSTM, **_GRU}.get(matrix.name)
    if gate is None:
        reason = f"`{scheme}` fills the biases of LSTM and GRU, but this parameter has no gates"
        raise Refusal(reason, "use `constant`")
    if len(matrix.shape) != 1:
        raise Refusal(f"`{scheme}` fills biases, but this is a weight", "move it below `bias:`")
    return gate


class _TimeScales(Elementwise):
    """Biases of gates b so that units keep their state for different times 1 / (1 - σ(b)) = 1 + exp(b)."""

    draws_per: ClassVar[DrawsPer] = "parameter"

    @abstractmethod
    def spread(self, num_units: int, sign: int) -> Law:
        """The law of the gate that keeps the state (`sign` 1) or lets input in (-1)."""

    def law(self, matrix: Matrix) -> Law:
        sign = {"forget": 1, "update": 1, "input": -1}.get(gate_of(matrix, self.scheme), 0)
        if not sign or matrix.addend or not matrix.shape[0]:
            return Constant(0.0)
        return self.spread(matrix.shape[0], sign)

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return {"gate": gate_of(matrix, self.scheme)} | self.model_dump()


@register_initializer("chrono")
class Chrono(_TimeScales):
    """Gate biases for dependencies of up to `max_time` steps: what a unit keeps, it does not let in.

    Formula: LSTM: b_f = ln u with u ~ U(1, max_time - 1), and b_i = -b_f; GRU: b_z = ln u, as torch's z keeps the
        state; others 0. b_ih + b_hh counts: all in b_ih
    Source: Tallec and Ollivier, Can recurrent neural networks warp time?, arXiv:1804.11188
    """

    max_time: Annotated[float, Field(gt=2, le=LIMIT, examples=[1000])]
    """The longest time, in steps, that the units are to bridge."""

    def spread(self, num_units: int, sign: int) -> Law:
        """±ln u, u ~ U(1, max_time - 1)."""
        return _TimeLaw.of("log", 1.0, self.max_time - 1, sign)


@register_initializer("uniform_gate", aliases=("ugi",))
class UniformGate(_TimeScales):
    """Gate biases with which the gates start uniformly between closed and open, each unit at its own.

    Formula: LSTM: b_f = -ln(1/u - 1) with u ~ U(1/H, 1 - 1/H), and b_i = -b_f, for H units; GRU: b_z = b_f; others 0.
        b_ih + b_hh counts: all in b_ih
    Source: Gu et al., Improving the gating mechanism of recurrent neural networks, arXiv:1910.09890
    """

    def spread(self, num_units: int, sign: int) -> Law:
        """±logit u, u ~ U(1/H, 1 - 1/H)."""
        if num_units < 2:
            raise Refusal("`uniform_gate` spreads the gates of several units, but this layer has one", "use `gates`")
        return _TimeLaw.of("logit", 1 / num_units, 1 - 1 / num_units, sign) if num_units > 2 else Constant(0.0)


@dataclass(frozen=True, slots=True)
class _TimeLaw(Drawn):
    """±ln u or ±logit u, u ~ U(low, high)."""

    curve: Literal["log", "logit"]
    low: float
    high: float
    sign: int
    mean: float
    std: float
    kurtosis: float

    @classmethod
    def of(cls, curve: Literal["log", "logit"], low: float, high: float, sign: int) -> _TimeLaw:
        """With moments by Gauss-Legendre quadrature over the density, exp b or σ(b)(1 - σ(b))."""
        start, stop = _bend(curve, low), _bend(curve, high)
        nodes, weights = np.polynomial.legendre.leggauss(200)
        b = start + (stop - start) * (nodes + 1) / 2
        u = _unbend(curve, b)
        mass = weights * (u if curve == "log" else u * (1 - u))
        mass /= mass.sum()
        mean = float(mass @ b)
        variance = float(mass @ (b - mean) ** 2)
        kurtosis = float(mass @ (b - mean) ** 4) / variance**2
        return cls(curve, low, high, sign, sign * mean, math.sqrt(variance), kurtosis)

    @property
    def bounds(self) -> tuple[float, float]:
        first, last = (self.sign * float(_bend(self.curve, end)) for end in (self.low, self.high))
        return min(first, last), max(first, last)

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A ramp in u, which is exp or the logistic function of ±x."""
        share = (_unbend(self.curve, self.sign * np.clip(x, *self.bounds)) - self.low) / (self.high - self.low)
        return share if self.sign > 0 else 1 - share

    def _quantile(self, share: np.ndarray) -> np.ndarray:
        return self.sign * _bend(self.curve, self.low + (self.high - self.low) * share)

    def _clip(self) -> tuple[np.float32, np.float32]:
        low, high = map(np.float32, self.bounds)
        return np.nextafter(low, high), np.nextafter(high, low)


def _bend(curve: str, u: Any) -> Any:
    return np.log(u) if curve == "log" else np.log(u / (1 - u))


def _unbend(curve: str, b: np.ndarray) -> np.ndarray:
    return np.exp(b) if curve == "log" else 1 / (1 + np.exp(-b))
