"""Fans as other libraries count them: of the tensors that their own layers store.

torch counts in the tensor that it is given, packed or not, whichever way round. Keras' and Flax' layers store theirs in
shapes of their own, so theirs are those of the layer there that does the same; where there is none, they are refused.
"""

from __future__ import annotations

from math import prod

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Block
from modelforge.inits.matrices import num_rows_and_columns

Fans = tuple[float, float]
_GATES = frozenset({"i", "f", "g", "o", "r", "z", "n"})


def torch_fans(block: Block) -> Fans:
    """`torch.nn.init` counts dimension 1 as inputs and dimension 0 as outputs, each times all dimensions behind.

    >>> torch_fans(Block(shape=(8, 16), fan_in=16, fan_out=8, name="i", stored=(32, 16)))
    (16, 32)
    """
    outputs, inputs, *taps = _stored(block)
    return inputs * prod(taps), outputs * prod(taps)


def keras_fans(block: Block) -> Fans:
    """`compute_fans` of Keras on the kernels of its layers: (..., inputs, outputs), but (taps, outputs, inputs) in
    transposed convolutions; gates side by side; attention by heads, (inputs, heads, size) and (heads, size, outputs).

    Raises:
        Refusal: Keras has no such layer.
    """
    _refuse_strangers(block, "Keras")
    rows, columns = num_rows_and_columns(block)
    if block.role == "embedding":
        return _last_two(_stored(block))
    if block.kind == "convolution":
        taps = prod(block.shape[2:])
        return (block.shape[1] * taps, block.shape[0] * taps) if block.input_first else (columns, _outputs(block, taps))
    if block.attention is not None:
        head_size = block.attention.head_size
        if block.attention.projections == ("o",):
            return columns, rows * columns / head_size
        return columns * rows / len(block.attention.projections) / head_size, columns * head_size
    return columns, (_outputs(block) if block.name in _GATES else rows)


def jax_fans(block: Block) -> Fans:
    """`variance_scaling` of JAX, with its own axes, on the kernels of Flax' layers (flax.linen): (..., inputs, outputs)
    in all of them; a kernel for each gate and each projection.

    Raises:
        Refusal: Flax has no such layer.
    """
    _refuse_strangers(block, "Flax")
    rows, columns = num_rows_and_columns(block)
    if block.role == "embedding":
        return _last_two(_stored(block))
    if block.kind == "convolution":
        taps = prod(block.shape[2:])
        return columns, (rows * taps if block.input_first else _outputs(block, taps))
    return columns, rows / (len(block.attention.projections) if block.attention is not None else 1)


def _refuse_strangers(block: Block, library: str) -> None:
    what = ""
    if block.kind == "bilinear":
        what = "no bilinear layer"
    elif block.kind == "convolution" and block.input_first and block.name:
        what = "no transposed convolution with groups"
    elif block.kind == "stack":
        what = "no stack of matrices in one parameter"
    elif block.kind == "matrix" and len(block.shape) > 2 and block.role != "embedding":
        what = f"no layer that is known to store {len(block.shape)} dimensions so"
    if what:
        raise Refusal(f"{library} has {what}, so its name means nothing here", "give it a scheme of modelforge's own")


def _stored(block: Block) -> tuple[int, ...]:
    return block.shape if block.stored is None else block.stored


def _outputs(block: Block, taps: int = 1) -> int:
    """Outputs of the whole parameter: of all gates, or all groups."""
    return _stored(block)[0] * taps


def _last_two(shape: tuple[int, ...]) -> Fans:
    *others, inputs, outputs = shape
    return inputs * prod(others), outputs * prod(others)
