"""What a calibration is: one frozen class whose fields are its config, and which judges a layer by its output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from modelforge.core.frozen import Node


@dataclass(frozen=True, slots=True)
class Moments:
    """Of a layer's output over a batch: number of values, their mean and their variance (of the population); one entry
    per channel, or none."""

    count: int
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, output: Tensor, channel_dim: int | None = None) -> Moments:
        """The moments of an output: over all of it, or along every dimension but `channel_dim`."""
        values = output.detach().to(torch.promote_types(output.dtype, torch.float32))
        if channel_dim is None:
            values = values.reshape(1, -1)
        else:
            values = values.movedim(channel_dim, 0).flatten(1) if values.ndim > 1 else values.reshape(-1, 1)
        if values.shape[1] == 0:  # torch warns of it
            variance = mean = values.new_full((values.shape[0],), torch.nan)
        else:
            variance, mean = torch.var_mean(values, dim=1, correction=0)
        if channel_dim is None:
            variance, mean = variance[0], mean[0]
        return cls(values.shape[1], mean.to("cpu", torch.float64), variance.to("cpu", torch.float64))

    def merged(self, other: Moments) -> Moments:
        """The moments of both samples together."""
        count = self.count + other.count
        share = other.count / count if count else 0.0
        delta = other.mean - self.mean
        variance = self.variance * (1 - share) + other.variance * share + delta.square() * (share * (1 - share))
        return Moments(count, self.mean + delta * share, variance)

    @property
    def is_finite(self) -> bool:
        """False where a value is infinite or not a number, and where there are no values."""
        return bool(self.mean.isfinite().all() and self.variance.isfinite().all())


@dataclass(frozen=True, slots=True)
class Correction:
    """weight ← factor · weight; and with a shift, bias ← factor · bias + shift. A number each, or one per channel."""

    factor: Tensor
    shift: Tensor | None = None


class Calibration(Node, ABC):
    """Base of every calibration; leaf classes are final and registered with `register_calibration`."""

    method: ClassVar[str] = ""
    """The registry name, set by `register_calibration`."""
    by_channel: ClassVar[bool] = False
    """Whether outputs are measured, and weights multiplied, channel by channel."""
    shifts: ClassVar[bool] = False
    """Whether it moves biases too; layers without one are left then."""

    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """How far a variance may stay from 1, and a mean that is shifted from 0."""
    max_passes: Annotated[int, Field(ge=1, le=1000)] = 10
    """How often a layer is corrected at most."""

    @abstractmethod
    def correct(self, seen: Moments) -> Correction:
        """What to do about a layer whose output has these moments; their variances are finite and above 0."""

    def satisfied(self, seen: Moments) -> bool:
        """Whether an output with these moments needs no correction: strictly within the tolerance."""
        off = (seen.variance - 1).abs()
        if self.shifts:
            off = off.maximum(seen.mean.abs())
        return bool((off < self.tolerance).all())
