"""Rotary positions: queries and keys are rotated by angles that grow with their step."""

from __future__ import annotations

from math import tau

import torch
from torch import Tensor, nn


class Rotary(nn.Module):
    """Turns pairs of features, so that products of queries and keys depend on the distance of their steps alone.

    Formula: (x[i], x[i + d/2]) is rotated by the angle t·f_i, f_i = θ^(-2i/d), i < d/2; with a `factor` above 1, a wave
        that fits n times into `original_steps` has f_i · ((1 - s)/factor + s), s = (n - low) / (high - low) in [0, 1]
    Source: Su et al. 2021, arXiv:2104.09864, section 3.2.2; halves in place of neighbours as in GPT-NeoX and Llama;
        longer waves for longer contexts as Llama 3.1 has them: Grattafiori et al. 2024, arXiv:2407.21783

    Args:
        head_dim: Features of a head, d.
        theta: Base θ of the frequencies.
        factor: By how much the longest waves are stretched; 1 stretches none.
        low: Waves that fit less often into `original_steps` are stretched by the full factor.
        high: Waves that fit more often stay as they are.
        original_steps: The context that the frequencies were made for.
    """

    def __init__(
        self,
        head_dim: int,
        theta: float = 10_000.0,
        factor: float = 1.0,
        low: float = 1.0,
        high: float = 4.0,
        original_steps: int = 8192,
    ) -> None:
        super().__init__()
        if head_dim % 2:
            raise ValueError(f"rotary positions turn pairs of features, but a head has {head_dim}")
        if theta <= 0 or factor < 1 or low >= high:
            given = f"{theta}, {factor}, {low} and {high}"
            raise ValueError(f"theta must be positive, factor at least 1, low below high, but they are {given}")
        self.head_dim = head_dim
        self.theta = theta
        self.factor = factor
        self.low = low
        self.high = high
        self.original_steps = original_steps

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys (batch, heads, steps, features), rotated."""
        # Computed in each pass: a buffer would be rounded with the model, and angles in bfloat16 are of no use.
        angles = torch.arange(query.shape[-2], device=query.device)[:, None] * self._frequencies(query.device)
        cos, sin = angles.cos().to(query.dtype), angles.sin().to(query.dtype)
        return _turned(query, cos, sin), _turned(key, cos, sin)

    def _frequencies(self, device: torch.device) -> Tensor:
        even = torch.arange(0, self.head_dim, 2, device=device, dtype=torch.float32)
        frequencies = 1 / self.theta ** (even / self.head_dim)
        if self.factor == 1:
            return frequencies
        waves = self.original_steps / (tau / frequencies)
        kept = ((waves - self.low) / (self.high - self.low)).clamp(0, 1)
        return (1 - kept) * frequencies / self.factor + kept * frequencies

    def extra_repr(self) -> str:
        stretched = f", factor={self.factor}, low={self.low}, high={self.high}, original_steps={self.original_steps}"
        return f"{self.head_dim}, theta={self.theta}" + (stretched if self.factor != 1 else "")


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
