"""Sparse weights: each unit is connected to few others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from modelforge.core.matrix import Block
from modelforge.core.rng import split
from modelforge.inits.base import Blockwise, Moments
from modelforge.inits.fields import NonNegative
from modelforge.inits.laws.law import Normal
from modelforge.inits.matrices import inputs_first, num_rows_and_columns, outputs_first, require_matrix
from modelforge.inits.registry import register_initializer

_BATCH = 1 << 17
_VISIBLE = 1e-30
"""Below, values of float32 may be zero by rounding."""


@dataclass(frozen=True, slots=True)
class Sparsified:
    """Zero but for a share of values ~ N(0, sigma²). A fixed number of zeros varies less than these would."""

    sigma: float
    share: float

    @property
    def mean(self) -> float:
        return 0.0

    @property
    def std(self) -> float:
        return self.sigma * self.share**0.5

    @property
    def kurtosis(self) -> float:
        return 3 / self.share

    @property
    def bounds(self) -> None:
        return None

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """A normal law's, with a step at 0."""
        return self.share * Normal(0.0, self.sigma).cdf(x) + (1 - self.share) * (np.asarray(x) >= 0)


@register_initializer("sparse")
class Sparse(Blockwise):
    """Normal weights of which each unit keeps a fixed number, at least one; the others are zero.

    Formula: k = max(1, m - round(sparsity·m)) of a unit's m weights ~ N(0, std²), std over all = std·√(k/m)
    Source: Martens, Deep learning via Hessian-free optimization, ICML 2010, §5 (15 incoming weights a unit). torch's
        `sparse_` zeroes per column instead, so a unit can lose all its inputs
    """

    sparsity: Annotated[float, Field(ge=0, lt=1)]
    """Share of zeros among a unit's weights."""
    std: NonNegative = 0.01
    """Standard deviation of the weights that are not zero."""
    axis: Literal["fan_in", "fan_out"] = "fan_in"
    """Whether the zeros are counted over the weights into each output or out of each input."""

    def fill(self, out: Tensor, block: Block, generator: torch.Generator) -> None:
        """Draws the places and the values of some units at a time."""
        units = (outputs_first if self.axis == "fan_in" else inputs_first)(out, block).numpy()
        num_weights, num_kept = self._counts(block)
        units_per_batch = max(1, _BATCH // max(1, num_weights))
        for start in range(0, len(units) if out.numel() else 0, units_per_batch):
            batch = units[start : start + units_per_batch]
            batch[:] = self._draw(len(batch), num_weights, num_kept, generator, out.dtype).reshape(batch.shape)

    def strays(self, values: Tensor, block: Block) -> int:
        """By how many weights units have more than they keep, or fewer."""
        if self.std < _VISIBLE:
            return 0
        units = (outputs_first if self.axis == "fan_in" else inputs_first)(values, block)
        _, num_kept = self._counts(block)
        return int((units.flatten(1).count_nonzero(dim=1) - num_kept).abs().sum())

    def moments(self, block: Block) -> Moments:
        """A mixture of a point at zero and a normal law."""
        require_matrix(block, "sparse", "it has no units to connect")
        num_weights, num_kept = self._counts(block)
        if not self.std or not num_weights:
            return Moments(mean=0.0, std=0.0, kurtosis=1.0, exact_std=True, deterministic=True)
        share = num_kept / num_weights
        law = Sparsified(self.std, share)
        return Moments(mean=0.0, std=law.std, kurtosis=law.kurtosis, law=law)

    def numbers(self, block: Block) -> dict[str, Any]:
        """The fields, and the weights that a unit has and keeps."""
        num_weights, num_kept = self._counts(block)
        return self.model_dump() | {"num_weights_per_unit": num_weights, "num_kept_per_unit": num_kept}

    def _counts(self, block: Block) -> tuple[int, int]:
        num_outputs, num_incoming = num_rows_and_columns(block)
        num_inputs = block.shape[0 if block.input_first else 1]
        taps = num_incoming // max(1, num_inputs)
        num_weights = num_incoming if self.axis == "fan_in" else num_outputs * taps
        return num_weights, min(num_weights, max(1, num_weights - round(self.sparsity * num_weights)))

    def _draw(
        self, num_units: int, num_weights: int, num_kept: int, generator: torch.Generator, dtype: torch.dtype
    ) -> np.ndarray:
        # float64, because equal keys would leave the choice to the sorting algorithm.
        keys = torch.empty(num_units, num_weights, dtype=torch.float64, device="cpu").uniform_(generator=generator)
        kept = np.sort(np.argpartition(keys.numpy(), num_kept - 1, axis=1)[:, :num_kept], axis=1)
        values = torch.empty(num_units, num_kept, dtype=dtype, device="cpu")
        if self.std:
            Normal(0.0, self.std).draw_(values, split(generator))
        else:
            values.zero_()
        weights = np.zeros_like(values.numpy(), shape=(num_units, num_weights))
        np.put_along_axis(weights, kept, values.numpy(), axis=1)
        return weights
