"""Weights for networks of sines."""

from __future__ import annotations

import math
from typing import Any

from modelforge.inits.base import Elementwise
from modelforge.inits.block import Block
from modelforge.inits.fields import Positive
from modelforge.inits.laws import Constant, Law, Uniform
from modelforge.inits.matrices import require_matrix
from modelforge.inits.registry import register_initializer


@register_initializer("siren")
class Siren(Elementwise):
    """Keeps what flows into each sin(omega_0·Wx) about N(0, 1), and what flows out about an arcsine law.

    Formula: w ~ U(-a, a) with a = √(6 / fan_in) / omega_0; in the first layer a = 1 / fan_in
    Source: Sitzmann et al., Implicit neural representations with periodic activation functions, arXiv:2006.09661,
        theorem 1.8 and §3.2; the first layer as in the authors' code
    """

    omega_0: Positive = 30.0
    """The factor in the sines. Weights of the first layer do not depend on it: their sines are to span many periods."""
    first: bool = False
    """Whether the layer reads the coordinates and not a sine."""

    def law(self, block: Block) -> Law:
        """U(-a, a)."""
        require_matrix(block, "siren", "fans are not defined for it")
        if not block.fan_in:
            return Constant(0.0)
        bound = 1 / block.fan_in if self.first else math.sqrt(6 / block.fan_in) / self.omega_0
        return Uniform(-bound, bound)

    def numbers(self, block: Block) -> dict[str, Any]:
        """The fields and the fan."""
        return self.model_dump() | {"fan_in": block.fan_in}
