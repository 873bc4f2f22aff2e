"""A block as a matrix: one row for each output, whatever the order of its dimensions."""

from __future__ import annotations

import math

from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Block


def require_matrix(block: Block, scheme: str, why: str) -> None:
    """Checks that the block has two axes at least.

    Raises:
        Refusal: it is a scalar or a vector.
    """
    if len(block.shape) < 2:
        what = f"a vector of {block.shape[0]}" if block.shape else "a single number"
        raise Refusal(
            f"`{scheme}` needs a matrix, but this is {what}: {why}",
            "give it a scheme for vectors, as in `bias: {scheme: zeros}`",
        )


def outputs_first(out: Tensor, block: Block) -> Tensor:
    """A view of `out` with the outputs on dimension 0."""
    return out.transpose(0, 1) if block.input_first else out


def inputs_first(out: Tensor, block: Block) -> Tensor:
    """A view of `out` with the inputs on dimension 0."""
    return out if block.input_first else out.transpose(0, 1)


def num_outputs_and_inputs(block: Block) -> tuple[int, int]:
    """
    >>> num_outputs_and_inputs(Block(shape=(4, 8, 3), fan_in=12, fan_out=24, input_first=True))
    (8, 4)
    """
    first, second = block.shape[:2]
    return (second, first) if block.input_first else (first, second)


def num_rows_and_columns(block: Block) -> tuple[int, int]:
    """Outputs, and inputs times taps.

    >>> num_rows_and_columns(Block(shape=(8, 4, 3, 3), fan_in=36, fan_out=72))
    (8, 36)
    """
    rows, columns = num_outputs_and_inputs(block)
    return rows, columns * math.prod(block.shape[2:])
