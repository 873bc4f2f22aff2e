"""Layers that multiply by numbers, learned or given."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.layers.register import register_layer
from modelforge.modules.arguments import register_reader


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


@register_layer(kind="passthrough")
class Rescale(nn.Module):
    """Multiplies by a given number: y = factor · x. Embeddings by √d, say, as Vaswani et al. 2017, section 3.4."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x

    def extra_repr(self) -> str:
        return f"factor={self.factor}"


@register_reader(LayerScale)
def _read_scale(module: LayerScale) -> dict[str, int]:
    return {"features": len(module.weight)}
