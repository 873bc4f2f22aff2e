"""Projections of an attention, alone and side by side."""

from __future__ import annotations

from typing import get_args

from modelforge.core.matrix import Projection
from modelforge.inits import Attention, Matrix
from tests.inits.case import Case


def projection(
    *projections: Projection, num_heads: int = 4, head_size: int = 16, width: int = 64, input_first: bool = False
) -> Matrix:
    """A block of an attention, of the shape that belongs to it."""
    outputs, inputs = num_heads * head_size * len(projections), width
    if projections == ("o",):
        outputs, inputs = inputs, outputs
    return Matrix(
        shape=(inputs, outputs) if input_first else (outputs, inputs),
        fan_in=inputs,
        fan_out=outputs / len(projections),
        input_first=input_first,
        attention=Attention(projections, num_heads, head_size, width, "attention"),
    )


EACH = {name: projection(name) for name in get_args(Projection)}
MORE = {
    "packed": projection("q", "k", "v", input_first=True),
    "keys and values": projection("k", "v"),
    "inputs first": projection("o", input_first=True),
    "one head": projection("k", num_heads=1, head_size=64),
    "as many heads as features": projection("q", num_heads=32, head_size=1, width=32),
    "heads of full size": projection("q", num_heads=3, head_size=48, width=48),
    "large": projection("k", head_size=64, width=256),
    "values of a large one": projection("v", head_size=64, width=256),
}

CASES = [
    Case({"scheme": "mimetic"}, EACH | MORE, {}),
    Case({"scheme": "mimetic", "alpha_qk": 0.3, "beta_qk": 0.9, "alpha_vo": 2.0, "beta_vo": 0.0}, EACH | MORE, {}),
    Case({"scheme": "mimetic", "alpha_qk": 1.0, "beta_qk": 0.2, "alpha_vo": 1e-6, "beta_vo": 3.0}, EACH, {}),
]
