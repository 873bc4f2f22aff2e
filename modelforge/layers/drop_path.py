"""Stochastic depth: residual branches that some examples skip."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from modelforge.layers.register import register_layer


@register_layer(kind="passthrough")
class DropPath(nn.Module):
    """In training, zeroes whole examples with probability p: y = x · keep / (1 - p). Huang et al., arXiv:1603.09382.

    At the end of a residual branch, that is an example which skips the branch. `keep` is 0 with probability p and else
    1, drawn for each example in each pass; evaluation changes nothing.

    Args:
        p: Probability of an example to be zeroed.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p must be between 0 and 1, but is {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * functional.dropout(x.new_ones(x.shape[0], *[1] * (x.ndim - 1)), self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"
