"""Looks-linear weights: mirrored units, so that ReLU layers start as one linear map."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Block
from modelforge.inits.base import Blockwise, Moments
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.matrices import outputs_first, require_matrix
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.orthogonal import haar_moments, isometry

_SIGNS = MappingProxyType({"hidden": ((1, -1), (-1, 1)), "first": ((1,), (-1,)), "last": ((1, -1),)})


@register_initializer("looks_linear", aliases=("mirrored",))
class LooksLinear(Blockwise):
    """Units in pairs that differ in sign, the second half mirroring the first: as relu(x) - relu(-x) = x, layers with a
    ReLU between start as the product of their orthogonal W0.

    Formula: W = [W0 -W0; -W0 W0] with W0 = gain·Q and QQᵀ = I or QᵀQ = I; first layer [W0; -W0], last [W0 -W0]. A
        kernel is flattened to (out, in·k); mean 0 and std = gain / √max(rows, columns of W0), exactly
    Source: Balduzzi et al., The shattered gradients problem, arXiv:1702.08591; Burkholz and Dubatovka,
        Initialization of ReLUs for dynamical isometry, arXiv:1806.06362
    """

    gain: Gain = 1.0
    """A number, `auto` (from the activation that follows in the graph), or an activation's name. 1 is what two mirrored
    ReLUs need together."""
    part: Literal["hidden", "first", "last"] = "hidden"
    """Whether mirrored layers stand on both sides; the first makes pairs only, the last reads pairs only."""

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Computes in float64 and rounds once."""
        outputs, inputs = self._half(block)
        if not out.numel():
            return
        view = outputs_first(out, block).numpy()
        taps = view.shape[2:]
        half = isometry(outputs, inputs * math.prod(taps), generator).numpy() * resolve_gain(self.gain, block).value
        signs = np.expand_dims(self._signs, tuple(range(2, view.ndim)))
        view[:] = np.kron(signs, half.reshape(outputs, inputs, *taps))

    def strays(self, values: Tensor, block: Block) -> int:
        """What does not mirror W0."""
        outputs, inputs = self._half(block)
        view = outputs_first(values, block)
        wrong = 0
        for row, signs in enumerate(self._signs):
            for column, sign in enumerate(signs):
                part = view[row * outputs : (row + 1) * outputs, column * inputs : (column + 1) * inputs]
                wrong += int((part != int(sign) * view[:outputs, :inputs]).sum())
        return wrong

    def moments(self, block: Block) -> Moments:
        """The entries of a Haar matrix, each as often as W0 occurs."""
        outputs, inputs = self._half(block)
        length = max(outputs, inputs * math.prod(block.shape[2:]))
        outer, inner = self._signs.shape
        gain = resolve_gain(self.gain, block).value
        return haar_moments(block, gain, length, copies=self._signs.size, parts=(outer, inner))

    def numbers(self, block: Block) -> dict[str, Any]:
        """The gain as a number and where it comes from, the part, and the shape of W0."""
        outputs, inputs = self._half(block)
        half = {"rows": outputs, "columns": inputs * math.prod(block.shape[2:])}
        return resolve_gain(self.gain, block).numbers() | {"part": self.part} | half

    @property
    def _signs(self) -> np.ndarray:
        return np.array(_SIGNS[self.part])

    def _half(self, block: Block) -> tuple[int, int]:
        """Outputs and inputs of W0."""
        require_matrix(block, "looks_linear", "it has no units to mirror")
        if block.name:
            reason = f"`looks_linear` mirrors the halves of a whole layer, but this is its block `{block.name}`"
            raise Refusal(reason, "use `orthogonal`")
        sides = block.shape[:2][:: -1 if block.input_first else 1]
        for what, end, size, parts in zip(
            ("outputs", "inputs"), ("last", "first"), sides, self._signs.shape, strict=True
        ):
            if size % parts:
                reason = f"`looks_linear` mirrors {what}, so their number must be even, but it is {size}"
                raise Refusal(reason, f"make it even, or say `part: {end}` if this is the {end} layer")
        return sides[0] // self._signs.shape[0], sides[1] // self._signs.shape[1]
