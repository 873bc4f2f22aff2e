"""Layers that move, pick or average what arrives, without parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.layers.masking import steps_mask
from modelforge.layers.register import register_layer


@register_layer(kind="passthrough")
class Select(nn.Module):
    """One slice along `dim`, which disappears: the last time step is `dim: 1, index: -1`.

    A second input may be a mask (batch, steps), true where a step counts (`PaddingMask`): then `index` counts those
    alone, and -1 is the last step before the padding. Of fewer, it is the nearest; of none, the first of all steps.
    """

    def __init__(self, dim: int, index: int) -> None:
        super().__init__()
        self.dim = dim
        self.index = index

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return x.select(self.dim, self.index)
        order = steps_mask(mask, x, (self.dim,)).cumsum(1)
        last = order[:, -1:]
        wanted = self.index + 1 + (last if self.index < 0 else torch.zeros_like(last))
        step = (mask & (order == wanted.minimum(last).clamp(min=1))).int().argmax(1)
        return x[torch.arange(len(x), device=x.device), step]

    def extra_repr(self) -> str:
        return f"dim={self.dim}, index={self.index}"


@register_layer(kind="passthrough")
class Mean(nn.Module):
    """Mean over one dimension, or over several.

    A second input may be a mask (batch, steps), true where a step counts (`PaddingMask`): then the mean over `dim: 1`
    is of those steps; of none, it is 0.
    """

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.keepdim = keepdim

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return x.mean(self.dim, self.keepdim)
        dims = self.dim if isinstance(self.dim, tuple) else (self.dim,)
        kept = steps_mask(mask, x, dims).reshape(*mask.shape, *(1 for _ in x.shape[2:]))
        count = kept.sum(1, keepdim=self.keepdim).clamp(min=1)
        return x.where(kept, 0).sum(1, self.keepdim) / count

    def extra_repr(self) -> str:
        return f"dim={self.dim}, keepdim={self.keepdim}"


@register_layer(kind="passthrough")
class Permute(nn.Module):
    """Dimensions in another order, as in torch.permute: `dims: [0, 2, 3, 1]` puts channels last, the batch stays 0."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)

    def extra_repr(self) -> str:
        return f"dims={self.dims}"


@register_layer(kind="passthrough")
class Reshape(nn.Module):
    """Each example in another shape of as many elements; one size may be -1, for what is left. The batch stays."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)

    def extra_repr(self) -> str:
        return f"shape={self.shape}"
