"""Identities: weights that pass each input on to one output through a fixed kernel, and nothing else."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Block
from modelforge.inits.base import Blockwise, Moments
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.matrices import require_matrix
from modelforge.inits.registry import register_initializer


class OneToOne(Blockwise):
    """Output i reads input i alone; outputs or inputs that have no partner get zeros. Nothing is drawn."""

    @abstractmethod
    def kernel(self, block: Block) -> np.ndarray:
        """What lies between an input and its output, of shape `block.shape[2:]`.

        Raises:
            Refusal: the scheme has no meaning for a block of this shape.
        """

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Zeros, and the kernel on the diagonal."""
        del generator
        out.zero_()
        out.diagonal().copy_(torch.from_numpy(self.kernel(block)[..., None]))

    def strays(self, values: Tensor, block: Block) -> int:
        """What is not the kernel on the diagonal, or not zero beside it."""
        diagonal = values.diagonal()
        kernel = torch.from_numpy(self.kernel(block)[..., None]).to(values.dtype)
        return int((diagonal != kernel).sum()) + int(values.count_nonzero() - diagonal.count_nonzero())

    def moments(self, block: Block) -> Moments:
        """Those of the values themselves."""
        require_matrix(block, self.scheme, "it has no inputs and outputs to pair")
        kernel, size = self.kernel(block), math.prod(block.shape)
        if not size:
            return Moments(mean=0.0, std=0.0, kurtosis=1.0, exact_std=True, deterministic=True)
        pairs = min(block.shape[:2])
        mean = pairs * float(kernel.sum()) / size
        second, fourth = (
            (pairs * float(((kernel - mean) ** power).sum()) + (size - pairs * kernel.size) * mean**power) / size
            for power in (2, 4)
        )
        kurtosis = fourth / second**2 if second else 1.0
        return Moments(mean, math.sqrt(second), kurtosis, exact_std=True, deterministic=True)


@register_initializer("eye", aliases=("identity",))
class Eye(OneToOne):
    """The identity matrix, or as much of one as fits.

    Where there are more outputs than inputs, the others start at zero: the rank of what is learned stays low for long
    (Zhao et al., arXiv:2110.12661). Convolutions have `dirac`.

    Formula: W[i, j] = gain·δ_ij
    Source: Le, Jaitly and Hinton, arXiv:1504.00941, for recurrent weights
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""

    def kernel(self, block: Block) -> np.ndarray:
        """One number."""
        if len(block.shape) > 2:
            raise Refusal("`eye` fills matrices, but this is the kernel of a convolution", "use `dirac`")
        return np.array(resolve_gain(self.gain, block).value)


@register_initializer("dirac")
class Dirac(OneToOne):
    """The identity of a convolution: each channel, in each group, passes through the centre of its kernel.

    Where there are more outputs than inputs, the others start at zero: the rank of what is learned stays low for long.

    Formula: W[o, i, centre] = gain·δ_oi and 0 elsewhere, with centre = ⌊k / 2⌋ for k taps
    Source: Zagoruyko and Komodakis, DiracNets, arXiv:1706.00388; `dirac_` in torch.nn.init
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name."""

    def kernel(self, block: Block) -> np.ndarray:
        """The gain at the centre."""
        if len(block.shape) == 2:
            raise Refusal("`dirac` fills kernels of convolutions, but this is a matrix", "use `eye`")
        taps = block.shape[2:]
        kernel = np.zeros(taps)
        if kernel.size:
            kernel[tuple(num_taps // 2 for num_taps in taps)] = resolve_gain(self.gain, block).value
        return kernel
