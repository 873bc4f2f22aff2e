"""Layers in which several tensors meet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.layers.register import register_layer


@register_layer(kind="passthrough", joins="sum")
class Add(nn.Module):
    """Sum of its inputs: y = x₁ + x₂ + …"""

    def forward(self, *inputs: Tensor) -> Tensor:
        total = inputs[0]
        for value in inputs[1:]:
            total = total + value
        return total


@register_layer(kind="layer", joins="product")
class Multiply(nn.Module):
    """Elementwise product of its inputs: y = x₁ · x₂ · …"""

    def forward(self, *inputs: Tensor) -> Tensor:
        product = inputs[0]
        for value in inputs[1:]:
            product = product * value
        return product


@register_layer(kind="passthrough")
class Concat(nn.Module):
    """Its inputs side by side along `dim` (the batch is dimension 0)."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
