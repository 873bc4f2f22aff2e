"""Weights for networks of sines."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from modelforge.core.complaints import Alternatives
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Elementwise
from modelforge.inits.fields import Positive
from modelforge.inits.laws.law import Constant, Law, Uniform
from modelforge.inits.matrices import require_matrix
from modelforge.inits.registry import register_initializer


@register_initializer("siren")
class Siren(Elementwise):
    """Keeps what flows into each sin(omega_0·Wx) about N(0, 1), and what flows out about an arcsine law.

    The authors' code leaves biases at torch's values, U(±1 / √fan_in): `bias: torch` does.

    Formula: w ~ U(-a, a) with a = √(6 / fan_in) / omega_0; in the first layer a = 1 / fan_in
    Source: Sitzmann et al., Implicit neural representations with periodic activation functions, arXiv:2006.09661,
        theorem 1.8 and §3.2; the first layer as in the authors' code (vsitzmann/siren, modules.py)
    """

    omega_0: Positive = 30.0
    """The factor in the sines. Weights of the first layer do not depend on it: their sines are to span many periods."""
    first: Annotated[Literal["auto"] | bool, Alternatives] = "auto"
    """Whether the layer reads the coordinates and not a sine, or `auto`: as the plan knows."""

    def law(self, matrix: Matrix) -> Law:
        require_matrix(matrix, "siren", "fans are not defined for it")
        if not matrix.fan_in:
            return Constant(0.0)
        bound = 1 / matrix.fan_in if self._first(matrix) else math.sqrt(6 / matrix.fan_in) / self.omega_0
        return Uniform(-bound, bound)

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return {"omega_0": self.omega_0, "first": self._first(matrix), "fan_in": matrix.fan_in}

    def _first(self, matrix: Matrix) -> bool:
        if self.first != "auto":
            return self.first
        if matrix.context is None or matrix.context.reads_input is None:
            reason = "`siren` treats the first layer apart, and no graph is known here"
            raise Refusal(reason, "say which it is, in `params`: `first: true`, and `first: false` for the others")
        return matrix.context.reads_input
