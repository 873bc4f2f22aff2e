"""A layer that adds a learned vector for each kind of step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from modelforge.layers.register import register_layer
from modelforge.modules.arguments import register_reader


@register_layer(axes="steps features", kind="passthrough", infer={"embedding_dim": -1}, roles={"weight": "embedding"})
class SegmentEmbedding(nn.Module):
    """Adds a learned vector to each step, by its segment: y[b, t] = x[b, t] + weight[s[b, t]]. arXiv:1810.04805.

    A second input may say the segments, whole numbers (batch, steps): 0 in BERT's first sentence, 1 in its second.
    Without one, all steps belong to segment 0.

    Formula: y[b, t] = x[b, t] + weight[s[b, t]]
    Source: Devlin et al. 2018, arXiv:1810.04805, section 3

    Args:
        num_segments: Rows of the table.
        embedding_dim: Size of each vector.
    """

    def __init__(self, embedding_dim: int, num_segments: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_segments, embedding_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """N(0, 0.02²), as BERT does."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, segments: Tensor | None = None) -> Tensor:
        return x + (self.weight[0] if segments is None else nn.functional.embedding(segments, self.weight))

    def extra_repr(self) -> str:
        num_segments, embedding_dim = self.weight.shape
        return f"{embedding_dim}, num_segments={num_segments}"


@register_reader(SegmentEmbedding)
def _read_table(module: SegmentEmbedding) -> dict[str, int]:
    return dict(zip(("num_segments", "embedding_dim"), module.weight.shape, strict=True))
