"""A `Matrix` with one row for each output, whatever the order of its dimensions."""

from __future__ import annotations

import math

from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix


def require_matrix(matrix: Matrix, scheme: str, why: str) -> None:
    """Checks that the matrix has two axes at least.

    Raises:
        Refusal: it is a scalar or a vector.
    """
    if len(matrix.shape) < 2:
        what = f"a vector of {matrix.shape[0]}" if matrix.shape else "a single number"
        raise Refusal(
            f"`{scheme}` needs a matrix, but this is {what}: {why}",
            "give it a scheme for vectors, as in `bias: {scheme: zeros}`",
        )


def outputs_first(out: Tensor, matrix: Matrix) -> Tensor:
    """A view of `out` with the outputs on dimension 0."""
    return out.transpose(0, 1) if matrix.input_first else out


def inputs_first(out: Tensor, matrix: Matrix) -> Tensor:
    """A view of `out` with the inputs on dimension 0."""
    return out if matrix.input_first else out.transpose(0, 1)


def num_outputs_and_inputs(matrix: Matrix) -> tuple[int, int]:
    """
    >>> num_outputs_and_inputs(Matrix(shape=(4, 8, 3), fan_in=12, fan_out=24, input_first=True))
    (8, 4)
    """
    first, second = matrix.shape[:2]
    return (second, first) if matrix.input_first else (first, second)


def num_rows_and_columns(matrix: Matrix) -> tuple[int, int]:
    """Outputs, and inputs times taps.

    >>> num_rows_and_columns(Matrix(shape=(8, 4, 3, 3), fan_in=36, fan_out=72))
    (8, 36)
    """
    rows, columns = num_outputs_and_inputs(matrix)
    return rows, columns * math.prod(matrix.shape[2:])
