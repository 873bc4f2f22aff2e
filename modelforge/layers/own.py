"""The few layers that torch.nn lacks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.layers.register import register_layer


@register_layer(kind="passthrough")
class Add(nn.Module):
    """Sum of its inputs: y = x₁ + x₂ + …"""

    def forward(self, *inputs: Tensor) -> Tensor:
        total = inputs[0]
        for value in inputs[1:]:
            total = total + value
        return total


@register_layer(kind="layer")
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


@register_layer(kind="passthrough")
class Select(nn.Module):
    """One slice along `dim`, which disappears: the last time step is `dim: 1, index: -1`."""

    def __init__(self, dim: int, index: int) -> None:
        super().__init__()
        self.dim = dim
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        return x.select(self.dim, self.index)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, index={self.index}"


@register_layer(kind="passthrough")
class Mean(nn.Module):
    """Mean over one dimension, or over several."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.dim, self.keepdim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, keepdim={self.keepdim}"


@register_layer(
    axes="steps features",
    kind="passthrough",
    infer={"num_positions": 1, "embedding_dim": -1},
    roles={"weight": "embedding"},
)
class PositionEmbedding(nn.Module):
    """Adds a learned vector to each position: y[b, t] = x[b, t] + weight[t]. Gehring et al. 2017, section 3.1."""

    def __init__(self, num_positions: int, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_positions, embedding_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """N(0, 0.02²), as BERT and GPT-2 do."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight[: x.shape[1]]

    def extra_repr(self) -> str:
        return "{}, {}".format(*self.weight.shape)


@register_layer(kind="passthrough", roles={"weight": "scale"})
class Scale(nn.Module):
    """Multiplies by one learned number: y = weight · x. De and Smith 2020, arXiv:2002.10444."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """One, which changes nothing."""
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


@register_layer(axes="... features", kind="passthrough", infer={"features": -1}, roles={"weight": "scale"})
class LayerScale(nn.Module):
    """Multiplies each feature by a learned number: y[…, i] = weight[i] · x[…, i]. arXiv:2103.17239."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Ones, which change nothing."""
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x

    def extra_repr(self) -> str:
        return f"features={len(self.weight)}"
