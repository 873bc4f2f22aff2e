"""Orthogonal convolutions with full kernels: products of projections that move a step, and of those that stay."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from modelforge.core.matrix import Block
from modelforge.inits.base import Blockwise, Moments
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.matrices import outputs_first
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.delta_orthogonal import require_widening
from modelforge.inits.schemes.orthogonal import haar_moments, isometry


@register_initializer("conv_orthogonal")
class ConvOrthogonal(Blockwise):
    """A convolution that keeps the norm of its input, as far as its stride skips none of it, with all taps in use.

    Formula: K(z) = gain·∏ (P + (I - P)·z_d) Q over the k_d - 1 steps of each axis d in turn, with QᵀQ = I and random
        projections P. std = gain / √(out·taps), exactly; axis d alone puts C(k_d - 1, t) / 2^(k_d - 1) of the mean
        square on tap t. Needs in <= out, in each group
    Source: Xiao et al., Dynamical isometry and a mean field theory of CNNs, arXiv:1806.05393, algorithm 1 (for
        sides of equal length, which this does not need); `ConvolutionOrthogonal` in tensorflow,
        python/ops/init_ops.py, by which a basis vector is in P with probability 1/2
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Computes in float64 and rounds once."""
        if not out.numel():
            return
        view = outputs_first(out, block)
        outputs, inputs, *sizes = view.shape
        kernel = isometry(outputs, inputs, generator).view(outputs, inputs, *(1 for _ in sizes))
        for step in range(1, max(sizes)):
            for axis, size in enumerate(sizes, start=2):
                if step < size:
                    kernel = _lengthened(kernel, axis, generator)
        view.copy_(kernel.mul_(resolve_gain(self.gain, block).value))

    def moments(self, block: Block) -> Moments:
        """The kurtosis is that of many channels."""
        outputs, _, taps = require_widening(block, "conv_orthogonal")
        peak = math.prod(size * math.comb(2 * size - 2, size - 1) / 4 ** (size - 1) for size in block.shape[2:] if size)
        return haar_moments(block, resolve_gain(self.gain, block).value, outputs, taps=taps, peak=peak, summed=True)

    def numbers(self, block: Block) -> dict[str, Any]:
        """The gain as a number and where it comes from, and the matrix."""
        outputs, inputs, _ = require_widening(block, "conv_orthogonal")
        return resolve_gain(self.gain, block).numbers() | {"outputs": outputs, "inputs": inputs}


def _lengthened(kernel: Tensor, axis: int, generator: torch.Generator) -> Tensor:
    """The kernel with one more tap on an axis: what a random projection keeps stays, the rest moves a step."""
    size, length = len(kernel), kernel.shape[axis]
    rank = int(torch.randint(2, (size,), generator=generator, device="cpu").sum())
    basis = isometry(size, rank, generator)
    kept = (basis @ (basis.T @ kernel.reshape(size, -1))).view(kernel.shape)
    shape = [n + (dim == axis) for dim, n in enumerate(kernel.shape)]
    longer = kernel.new_zeros(shape)
    longer.narrow(axis, 0, length).add_(kept)
    longer.narrow(axis, 1, length).add_(kernel - kept)
    return longer
