"""Fans as other libraries count them: of the tensors that their own layers store.

torch counts in the tensor that it is given, packed or not, whichever way round. Keras' and Flax' layers store theirs in
shapes of their own, so theirs are those of the layer there that does the same; where there is none, they are refused.
"""

from __future__ import annotations

from math import prod

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits.matrices import num_rows_and_columns

Fans = tuple[float, float]
_GATES = frozenset({"i", "f", "g", "o", "r", "z", "n"})


def torch_fans(matrix: Matrix) -> Fans:
    """`torch.nn.init` counts dimension 1 as inputs and dimension 0 as outputs, each times all dimensions behind.

    >>> torch_fans(Matrix(shape=(8, 16), fan_in=16, fan_out=8, name="i", stored=(32, 16)))
    (16, 32)
    """
    outputs, inputs, *taps = _stored(matrix)
    return inputs * prod(taps), outputs * prod(taps)


def keras_fans(matrix: Matrix) -> Fans:
    """`compute_fans` of Keras on the kernels of its layers: (..., inputs, outputs), but (taps, outputs, inputs) in
    transposed convolutions; gates side by side; attention by heads, (inputs, heads, size) and (heads, size, outputs).

    Raises:
        Refusal: Keras has no such layer.
    """
    rows, columns = num_rows_and_columns(matrix)
    if (fans := _common_fans(matrix, "Keras")) is not None:
        return fans
    if matrix.kind == "convolution":
        taps = prod(matrix.shape[2:])
        return matrix.shape[1] * taps, matrix.shape[0] * taps
    if matrix.attention is not None:
        head_size = matrix.attention.head_size
        if matrix.attention.projections == ("o",):
            return columns, rows * columns / head_size
        return columns * rows / len(matrix.attention.projections) / head_size, columns * head_size
    return columns, (_stored(matrix)[0] if matrix.name in _GATES else rows)


def jax_fans(matrix: Matrix) -> Fans:
    """`variance_scaling` of JAX, with its own axes, on the kernels of Flax' layers (flax.linen): (..., inputs, outputs)
    in all of them; a kernel for each gate and each projection.

    Raises:
        Refusal: Flax has no such layer.
    """
    rows, columns = num_rows_and_columns(matrix)
    if (fans := _common_fans(matrix, "Flax")) is not None:
        return fans
    if matrix.kind == "convolution":
        return columns, rows * prod(matrix.shape[2:])
    return columns, rows / (len(matrix.attention.projections) if matrix.attention is not None else 1)


def _common_fans(matrix: Matrix, library: str) -> Fans | None:
    """Of tables and of convolutions that are not transposed, which both libraries store alike.

    Raises:
        Refusal: the library has no such layer.
    """
    what = ""
    if matrix.kind == "bilinear":
        what = "no bilinear layer"
    elif matrix.kind == "convolution" and matrix.input_first and matrix.name:
        what = "no transposed convolution with groups"
    elif matrix.kind == "stack":
        what = "no stack of matrices in one parameter"
    elif matrix.kind == "matrix" and len(matrix.shape) > 2 and matrix.role != "embedding":
        what = f"no layer that is known to store {len(matrix.shape)} dimensions so"
    if what:
        raise Refusal(f"{library} has {what}, so its name means nothing here", "give it a scheme of modelforge's own")
    if matrix.role == "embedding":
        *others, inputs, outputs = _stored(matrix)
        return inputs * prod(others), outputs * prod(others)
    if matrix.kind == "convolution" and not matrix.input_first:
        # Outputs of all groups.
        return num_rows_and_columns(matrix)[1], _stored(matrix)[0] * prod(matrix.shape[2:])
    return None


def _stored(matrix: Matrix) -> tuple[int, ...]:
    return matrix.shape if matrix.stored is None else matrix.stored
