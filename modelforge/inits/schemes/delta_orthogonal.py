"""Delta-orthogonal kernels: an isometry at the centre tap, zero elsewhere."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Block
from modelforge.inits.base import Blockwise, Moments
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.matrices import outputs_first
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.orthogonal import haar_moments, isometry


@register_initializer("delta_orthogonal")
class DeltaOrthogonal(Blockwise):
    """A convolution that keeps the norm of its input, as far as its stride skips none of it: a Haar-distributed matrix
    at the centre of the kernel.

    Formula: K[:, :, centre] = gain·Q with QᵀQ = I, and 0 elsewhere; the centre of a side of k taps is tap k // 2 (from
        0), as in torch's `dirac_` (TensorFlow and JAX take (k - 1) // 2, another one where k is even). std = gain /
        √(out·taps), exactly. Needs in <= out, in each group
    Source: Xiao et al., Dynamical isometry and a mean field theory of CNNs, arXiv:1806.05393, algorithm 2
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Computes in float64 and rounds once."""
        out.zero_()
        if out.numel():
            centre = centre_tap(outputs_first(out, block))
            outputs, inputs = centre.shape
            centre.copy_(isometry(outputs, inputs, generator).mul_(resolve_gain(self.gain, block).value))

    def strays(self, values: Tensor, block: Block) -> int:
        """What is not zero beside the centre."""
        return int(values.count_nonzero()) - int(centre_tap(outputs_first(values, block)).count_nonzero())

    def moments(self, block: Block) -> Moments:
        """A mixture of a point at zero and the law of the entries of a Haar matrix."""
        outputs, _, taps = require_widening(block, "delta_orthogonal")
        return haar_moments(block, resolve_gain(self.gain, block).value, outputs, taps=taps, peak=taps, summed=True)

    def numbers(self, block: Block) -> dict[str, Any]:
        """The gain as a number and where it comes from, and the matrix."""
        outputs, inputs, _ = require_widening(block, "delta_orthogonal")
        return resolve_gain(self.gain, block).numbers() | {"outputs": outputs, "inputs": inputs}


def centre_tap(kernel: Tensor) -> Tensor:
    """The matrix at tap k // 2 of each side; a matrix as it is."""
    return kernel[:, :, *(size // 2 for size in kernel.shape[2:])]


def require_widening(block: Block, scheme: str) -> tuple[int, int, int]:
    """Checks that the block is a kernel that can keep norms, and counts its outputs, inputs and taps.

    Raises:
        Refusal: it is no kernel, or has more inputs than outputs.
    """
    if len(block.shape) < 3:
        raise Refusal(f"`{scheme}` needs the kernel of a convolution, but this has no taps", "use `orthogonal`")
    outputs, inputs = block.shape[:2][:: -1 if block.input_first else 1]
    if inputs > outputs:
        raise Refusal(
            f"`{scheme}` keeps norms, so it needs at least as many outputs as inputs, but it has {inputs} inputs and "
            f"{outputs} outputs" + (" in each group" if block.name else ""),
            "use `orthogonal`, or give the layer more outputs",
            "MF093",
        )
    return outputs, inputs, math.prod(block.shape[2:])
