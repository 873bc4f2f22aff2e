"""ZerO: zeros and ones only, spread by a Hadamard matrix where a layer widens."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from modelforge.core.matrix import Block
from modelforge.inits.base import Blockwise, Moments
from modelforge.inits.matrices import outputs_first, require_matrix
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.delta_orthogonal import centre_tap


@register_initializer("zero")
class ZerO(Blockwise):
    """Nothing is drawn: an identity, cut off where a layer narrows, and columns of a Hadamard matrix where it widens.

    Formula: out <= in: W[i, j] = 1 if i = j, else 0; out > in: W[i, j] = H[i, j] / √p with p = 2^⌈log2 out⌉ and
        H[i, j] = (-1)^(number of ones that i and j share in binary). A kernel has W at its centre, tap k // 2 of each
        side, and 0 elsewhere
    Source: Zhao, Schäfer and Anandkumar, ZerO initialization, arXiv:2110.12661, algorithms 1 and 2, with the factor of
        the authors' code (jiaweizzhao/ZerO-initialization), which makes the columns orthonormal if out = p
    """

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Doubles the Hadamard matrix in place until it fills the block."""
        del generator
        out.zero_()
        if not out.numel():
            return
        matrix = centre_tap(outputs_first(out, block))
        outputs, inputs = matrix.shape
        if outputs <= inputs:
            matrix.fill_diagonal_(1.0)
            return
        matrix[0, 0] = _power_of_two(outputs) ** -0.5
        size = 1
        while size < outputs:
            known = matrix[:size, :size]
            for rows, columns, sign in ((size, 0, 1), (0, size, 1), (size, size, -1)):
                part = matrix[rows : rows + size, columns : columns + size]
                part.copy_(known[: part.shape[0], : part.shape[1]]).mul_(sign)
            size *= 2

    def strays(self, values: Tensor, block: Block) -> int:
        """What is not the formula's, row by row, or not zero beside the centre."""
        matrix = centre_tap(outputs_first(values, block)).numpy()
        outputs, inputs = matrix.shape
        wrong = int(values.count_nonzero()) - int(np.count_nonzero(matrix))
        if outputs <= inputs:
            return wrong + int(np.count_nonzero(matrix != np.eye(outputs, inputs, dtype=matrix.dtype)))
        factor, columns = matrix.dtype.type(_power_of_two(outputs) ** -0.5), np.arange(inputs)
        for number, row in enumerate(matrix):
            odd = (np.bitwise_count(columns & number) & 1).astype(bool)
            wrong += int(np.count_nonzero(row != np.where(odd, -factor, factor)))
        return wrong

    def moments(self, block: Block) -> Moments:
        """Counted; columns and rows of a Hadamard matrix do not all sum to zero."""
        require_matrix(block, "zero", "it has no rows and columns")
        outputs, inputs = block.shape[:2][:: -1 if block.input_first else 1]
        count = math.prod(block.shape)
        if not count:
            return Moments(mean=0.0, std=0.0, kurtosis=1.0, exact_std=True, deterministic=True)
        if outputs <= inputs:
            first, second = outputs, outputs
        else:
            side = _power_of_two(outputs)
            first, second = _sum(outputs, inputs, side) / math.sqrt(side), outputs * inputs / side
        mean = first / count
        std = math.sqrt(max(second / count - mean**2, 0.0))
        return Moments(mean=mean, std=std, exact_std=True, deterministic=True)


def _power_of_two(size: int) -> int:
    """The least one that is not below `size`."""
    return 1 << (size - 1).bit_length()


def _sum(rows: int, columns: int, side: int) -> int:
    """Of the entries in the first rows and columns of the Hadamard matrix of this side.

    All quarters are the matrix of half the side, the last with a minus; a full matrix sums to its side.
    """
    if not rows or not columns:
        return 0
    if side in (rows, columns):
        return side
    half = side // 2
    more_rows, more_columns = rows - half, columns - half
    if more_rows <= 0 and more_columns <= 0:
        return _sum(rows, columns, half)
    if more_columns <= 0:
        return half + _sum(more_rows, columns, half)
    if more_rows <= 0:
        return half + _sum(rows, more_columns, half)
    return 3 * half - _sum(more_rows, more_columns, half)
