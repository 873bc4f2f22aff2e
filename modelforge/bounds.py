"""Bounds: sizes that cannot be meant, and would cost planning itself hours or all memory.

A thousand times what the largest models have; so a model that no machine can hold is still planned.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_core import PydanticCustomError

MAX_SIZE = 10**10
"""The greatest side of an input, and the greatest whole number that a layer's argument may be."""
MAX_PARAMETERS = 10**14
"""Elements in all parameters of a model."""
MAX_LAYERS = 100_000
MAX_BLOCKS = 1_000_000
"""Logical matrices and vectors in all parameters of a model: gates, projections, groups of a convolution."""
MAX_DEPTH = 64
"""Combinators inside one another."""
MAX_PARTS = {"times": 10_000, "groups": 100_000} | dict.fromkeys(
    ("num_layers", "num_encoder_layers", "num_decoder_layers"), 1_000
)
"""Arguments that count what a layer is made of: planning looks at each part."""


def too_large(most: int, sizes: Sequence[int]) -> PydanticCustomError:
    """The error of sizes of which one is more than it may be."""
    return PydanticCustomError(
        "MF060", "must be at most {most}, but is {size}", {"most": f"{most:,}", "size": f"{max(sizes):,}"}
    )
