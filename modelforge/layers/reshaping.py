"""Layers that move, pick or average what arrives, without parameters."""

from __future__ import annotations

from torch import Tensor, nn

from modelforge.layers.register import register_layer


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
