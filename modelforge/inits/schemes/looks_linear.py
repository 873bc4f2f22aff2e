"""Looks-linear weights: mirrored units, so that ReLU layers start as one linear map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Fill, Initializer
from modelforge.inits.fills import Whole
from modelforge.inits.gains.gain import Gain, resolve_gain
from modelforge.inits.haar import isometry
from modelforge.inits.matrices import num_outputs_and_inputs, outputs_first, require_matrix
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.orthogonal import haar_moments

Signs = tuple[tuple[int, ...], ...]
_SIGNS: Mapping[str, Signs] = MappingProxyType(
    {"hidden": ((1, -1), (-1, 1)), "first": ((1,), (-1,)), "last": ((1, -1),)}
)


@register_initializer("looks_linear", aliases=("mirrored",))
class LooksLinear(Initializer):
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

    def resolve(self, matrix: Matrix) -> Fill:
        """The entries of a Haar matrix, each as often as W0 occurs."""
        signs = _SIGNS[self.part]
        outputs, inputs = _half(matrix, len(signs), len(signs[0]))
        columns = inputs * math.prod(matrix.shape[2:])
        gain = resolve_gain(self.gain, matrix)
        numbers = gain.numbers() | {"part": self.part, "rows": outputs, "columns": columns}
        parts = len(signs), len(signs[0])
        promise = haar_moments(matrix, gain.value, max(outputs, columns), copies=math.prod(parts), parts=parts)
        return Fill(promise, FrozenDict(numbers), Mirrored(matrix, gain.value, outputs, inputs, signs))


@dataclass(frozen=True, slots=True)
class Mirrored(Whole):
    """W0 = factor·Q, as often as there are signs; computed in float64 and rounded once."""

    factor: float
    outputs: int
    inputs: int
    """Of W0."""
    signs: Signs

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        view = outputs_first(out, self.matrix).numpy()
        taps = view.shape[2:]
        half = isometry(self.outputs, self.inputs * math.prod(taps), generator).numpy() * self.factor
        signs = np.expand_dims(np.array(self.signs), tuple(range(2, view.ndim)))
        view[:] = np.kron(signs, half.reshape(self.outputs, self.inputs, *taps))

    def strays(self, values: Tensor) -> int:
        """What does not mirror W0."""
        view = outputs_first(values, self.matrix).numpy()
        signs = np.expand_dims(np.array(self.signs, dtype=view.dtype), tuple(range(2, view.ndim)))
        return int((view != np.kron(signs, view[: self.outputs, : self.inputs])).sum())


def _half(matrix: Matrix, outer: int, inner: int) -> tuple[int, int]:
    """Outputs and inputs of W0, which the layer has so many times.

    Raises:
        Refusal: it is no whole layer, or its size is odd.
    """
    require_matrix(matrix, "looks_linear", "it has no units to mirror")
    if matrix.name:
        reason = f"`looks_linear` mirrors the halves of a whole layer, but this is its matrix `{matrix.name}`"
        raise Refusal(reason, "use `orthogonal`")
    outputs, inputs = num_outputs_and_inputs(matrix)
    for what, end, size, parts in (("outputs", "last", outputs, outer), ("inputs", "first", inputs, inner)):
        if size % parts:
            reason = f"`looks_linear` mirrors {what}, so their number must be even, but it is {size}"
            raise Refusal(reason, f"make it even, or say `part: {end}` if this is the {end} layer")
    return outputs // outer, inputs // inner
