"""Which steps of a sequence count, where shorter ones are filled up."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.layers.register import register_layer


@register_layer(axes="steps", kind="passthrough")
class PaddingMask(nn.Module):
    """True for each token that is not `padding_idx`: what `SelfAttention`, `Mean` and `Select` take as another input.

    It reads the tokens, (batch, steps), as `Embedding` does; -1 leaves all of them in.

    Formula: y[b, t] = (x[b, t] ≠ padding_idx)
    """

    def __init__(self, padding_idx: int) -> None:
        super().__init__()
        self.padding_idx = padding_idx

    def forward(self, x: Tensor) -> Tensor:
        return x != self.padding_idx

    def extra_repr(self) -> str:
        return f"{self.padding_idx}"


def steps_mask(mask: Tensor, x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The mask, if it says which steps count and `dims` are those steps.

    Raises:
        TypeError: it is not bool.
        ValueError: it has other sizes than (batch, steps), or another dimension is meant.
    """
    if mask.dtype != torch.bool:
        raise TypeError(f"a mask is bool (true for each step that counts), but this is {mask.dtype}")
    if tuple(dim % x.ndim for dim in dims) != (1,):
        raise ValueError(f"a mask counts steps, which are dimension 1, but `dim` is {', '.join(map(str, dims))}")
    if mask.shape != x.shape[:2]:
        raise ValueError(f"a mask has one value for each step, {tuple(x.shape[:2])}, but this has {tuple(mask.shape)}")
    return mask
