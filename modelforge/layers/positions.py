"""Layers that encode the positions of steps: learned or fixed vectors, and biases of attention."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelforge.layers.register import register_layer
from modelforge.modules.arguments import register_reader

LONGEST_WAVE = 10_000.0
"""Wavelengths of sinusoidal positions grow from 2π to this times 2π."""


@register_layer(
    axes="steps features",
    kind="passthrough",
    infer={"num_positions": 1, "embedding_dim": -1},
    at_least={"num_positions"},
    roles={"weight": "embedding"},
)
class PositionEmbedding(nn.Module):
    """Adds a learned vector to each position: y[b, t] = x[b, t] + weight[t]. Gehring et al. 2017, section 3.1.

    Args:
        num_positions: Rows of the table; it may be longer than the sequences.
        embedding_dim: Size of each vector.
    """

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


@register_layer(
    axes="steps features",
    kind="passthrough",
    infer={"num_positions": 1, "embedding_dim": -1},
    at_least={"num_positions"},
)
class SinusoidalEmbedding(nn.Module):
    """Adds fixed waves, sines at even features and cosines at odd ones. Vaswani et al. 2017, section 3.5.

    Formula: y[b, t, 2i] = x[b, t, 2i] + sin(t / 10000^(2i/d)), and the same of cos at 2i + 1
    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5

    Args:
        num_positions: Positions that are known; there may be more than the sequences have.
        embedding_dim: Size of each vector, d.
    """

    table: Tensor

    def __init__(self, num_positions: int, embedding_dim: int) -> None:
        super().__init__()
        even = torch.arange(0, embedding_dim, 2, dtype=torch.float32)
        angles = torch.arange(num_positions, dtype=torch.float32)[:, None] * LONGEST_WAVE ** (-even / embedding_dim)
        waves = torch.stack((angles.sin(), angles.cos()), -1).flatten(1)[:, :embedding_dim]
        self.register_buffer("table", waves, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table[: x.shape[1]]

    def extra_repr(self) -> str:
        return "{}, {}".format(*self.table.shape)


@register_layer(axes="steps ...", kind="layer", roles={"weight": "embedding"})
class RelativePositionBias(nn.Module):
    """A learned number for each head and distance, to be added to the logits of attention. Raffel et al. 2020 (T5).

    Of what it reads it looks at the length T alone, and gives (batch, heads, T, T), the same for all examples and in
    the memory of one. It is the second input of a `SelfAttention`: `inputs: [norm, bias]`.

    Formula: y[b, h, t, s] = weight[bucket(s - t), h]; near distances have a bucket each, those up to `max_distance`
        share buckets whose widths grow with their logarithm, and the last one takes all beyond
    Source: Raffel et al. 2020, arXiv:1910.10683, section 2.1

    Args:
        num_heads: Heads of the attention.
        num_buckets: Rows of the table.
        max_distance: Larger distances share one bucket.
        bidirectional: Half of the buckets are for steps that come later; else those count as distance 0, for attention
            that is causal.
    """

    def __init__(
        self, num_heads: int, num_buckets: int = 32, max_distance: int = 128, bidirectional: bool = True
    ) -> None:
        super().__init__()
        directions = 2 if bidirectional else 1
        if num_buckets < 2 * directions or num_buckets % directions:
            must = "even and at least 4" if bidirectional else "at least 2"
            raise ValueError(f"num_buckets must be {must}, but is {num_buckets}")
        self.num_near = num_buckets // directions // 2
        if max_distance <= self.num_near:
            needs = f"more than {self.num_near}, the distances that have a bucket each"
            raise ValueError(f"max_distance must be {needs}, but is {max_distance}")
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.weight = nn.Parameter(torch.empty(num_buckets, num_heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """N(0, 0.02²), as other embeddings."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        steps = torch.arange(x.shape[1], device=self.weight.device)
        bias = functional.embedding(self.buckets(steps - steps[:, None]), self.weight)
        return bias.permute(2, 0, 1).expand(x.shape[0], -1, -1, -1)

    def buckets(self, distances: Tensor) -> Tensor:
        """Rows of the table for signed distances, source minus target."""
        count = len(self.weight) // 2 if self.bidirectional else len(self.weight)
        later = (distances > 0) * count if self.bidirectional else 0
        size = distances.abs() if self.bidirectional else (-distances).clamp(min=0)
        fraction = (size.clamp(min=1).float() / self.num_near).log() / log(self.max_distance / self.num_near)
        far = self.num_near + (fraction * (count - self.num_near)).long()
        return later + torch.where(size < self.num_near, size, far.clamp(max=count - 1))

    def extra_repr(self) -> str:
        num_buckets, num_heads = self.weight.shape
        options = {"num_buckets": num_buckets, "max_distance": self.max_distance, "bidirectional": self.bidirectional}
        return ", ".join((str(num_heads), *(f"{name}={value}" for name, value in options.items())))


@register_reader(PositionEmbedding)
def _read_table(module: PositionEmbedding) -> dict[str, int]:
    return dict(zip(("num_positions", "embedding_dim"), module.weight.shape, strict=True))


@register_reader(SinusoidalEmbedding)
def _read_waves(module: SinusoidalEmbedding) -> dict[str, int]:
    return dict(zip(("num_positions", "embedding_dim"), module.table.shape, strict=True))


@register_reader(RelativePositionBias)
def _read_buckets(module: RelativePositionBias) -> dict[str, int]:
    return dict(zip(("num_buckets", "num_heads"), module.weight.shape, strict=True))
