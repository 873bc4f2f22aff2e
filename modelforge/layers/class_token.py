"""A place in a sequence that belongs to no input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.layers.register import register_layer
from modelforge.modules.arguments import register_reader


@register_layer(axes="steps features", kind="passthrough", infer={"features": -1}, roles={"weight": "embedding"})
class ClassToken(nn.Module):
    """Puts a learned vector before the first step: y[b] = (weight, x[b]). Devlin et al. 2018, arXiv:1810.04805.

    Attention gathers there what a classifier reads: `Select: {dim: 1, index: 0}`.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """N(0, 0.02²), as BERT and DeiT do."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.weight.expand(x.shape[0], 1, -1), x), 1)

    def extra_repr(self) -> str:
        return f"features={self.weight.shape[1]}"


@register_reader(ClassToken)
def _read_token(module: ClassToken) -> dict[str, int]:
    return {"features": module.weight.shape[1]}
