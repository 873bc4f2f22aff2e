"""`Moments`: what a batch makes of a layer's output. One mean and variance over everything, or one for each channel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Moments:
    """Number of values, their mean and their variance (of the population); one entry per channel, or none."""

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
