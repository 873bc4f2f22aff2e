"""Sparse weights: each unit is connected to few others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Matrix
from modelforge.core.rng import split
from modelforge.inits.base import Fill, Initializer, Moments
from modelforge.inits.fields import NonNegative
from modelforge.inits.fills import CONSTANT, Whole
from modelforge.inits.laws.law import Normal
from modelforge.inits.matrices import inputs_first, num_outputs_and_inputs, outputs_first, require_matrix
from modelforge.inits.registry import register_initializer

_BATCH = 1 << 17
_VISIBLE = 1e-30
"""Below, values of float32 may be zero by rounding."""


@dataclass(frozen=True, slots=True)
class Sparsified:
    """Zero but for a share of values ~ N(0, sigma²). A fixed number of zeros varies less than these would."""

    sigma: float
    share: float
    mean: float = field(default=0.0, init=False, repr=False)
    bounds: None = field(default=None, init=False, repr=False)

    @property
    def std(self) -> float:
        return self.sigma * self.share**0.5

    @property
    def kurtosis(self) -> float:
        return 3 / self.share

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A normal law's, with a step at 0."""
        return self.share * Normal(0.0, self.sigma).cdf(x) + (1 - self.share) * (np.asarray(x) >= 0)


@register_initializer("sparse")
class Sparse(Initializer):
    """Normal weights of which each unit keeps a fixed number, at least one; the others are zero.

    Formula: k = max(1, m - round(sparsity·m)) of a unit's m weights ~ N(0, std²), std over all = std·√(k/m)
    Source: Martens, Deep learning via Hessian-free optimization, ICML 2010, §5 (15 incoming weights a unit). torch's
        `sparse_` zeroes per column instead, so a unit can lose all its inputs
    """

    sparsity: Annotated[float, Field(ge=0, lt=1, examples=[0.9])]
    """Share of zeros among a unit's weights."""
    std: NonNegative = 0.01
    """Standard deviation of the weights that are not zero."""
    axis: Literal["fan_in", "fan_out"] = "fan_in"
    """Whether the zeros are counted over the weights into each output or out of each input."""

    def resolve(self, matrix: Matrix) -> Fill:
        """A mixture of a point at zero and a normal law."""
        require_matrix(matrix, "sparse", "it has no units to connect")
        (outputs, inputs), taps = num_outputs_and_inputs(matrix), math.prod(matrix.shape[2:])
        num_weights = (inputs if self.axis == "fan_in" else outputs) * taps
        num_kept = min(num_weights, max(1, num_weights - round(self.sparsity * num_weights)))
        numbers = self.model_dump() | {"num_weights_per_unit": num_weights, "num_kept_per_unit": num_kept}
        promise = CONSTANT
        if self.std and num_weights:
            law = Sparsified(self.std, num_kept / num_weights)
            promise = Moments(mean=0.0, std=law.std, kurtosis=law.kurtosis, law=law)
        return Fill(promise, FrozenDict(numbers), Kept(matrix, self.std, num_weights, num_kept, self.axis))


@dataclass(frozen=True, slots=True)
class Kept(Whole):
    """Zeros but for a number of normal values a unit."""

    std: float
    num_weights: int
    """Of a unit."""
    num_kept: int
    axis: Literal["fan_in", "fan_out"]

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        """Draws the places and the values of some units at a time."""
        units = self._units(out).numpy()
        units_per_batch = max(1, _BATCH // self.num_weights)
        for start in range(0, len(units), units_per_batch):
            batch = units[start : start + units_per_batch]
            batch[:] = self._draw(len(batch), generator, out.dtype).reshape(batch.shape)

    def strays(self, values: Tensor) -> int:
        """By how many weights units have more than they keep, or fewer."""
        if self.std < _VISIBLE:
            return 0
        return int((self._units(values).flatten(1).count_nonzero(dim=1) - self.num_kept).abs().sum())

    def _units(self, out: Tensor) -> Tensor:
        return (outputs_first if self.axis == "fan_in" else inputs_first)(out, self.matrix)

    def _draw(self, num_units: int, generator: torch.Generator, dtype: torch.dtype) -> np.ndarray:
        # float64, because equal keys would leave the choice to the sorting algorithm.
        keys = torch.empty(num_units, self.num_weights, dtype=torch.float64, device="cpu").uniform_(generator=generator)
        kept = np.sort(np.argpartition(keys.numpy(), self.num_kept - 1, axis=1)[:, : self.num_kept], axis=1)
        values = torch.zeros(num_units, self.num_kept, dtype=dtype, device="cpu")
        if self.std:
            Normal(0.0, self.std).draw_(values, split(generator))
        weights = np.zeros_like(values.numpy(), shape=(num_units, self.num_weights))
        np.put_along_axis(weights, kept, values.numpy(), axis=1)
        return weights
