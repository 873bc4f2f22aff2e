"""Attention with a projection each for queries, keys and values, on torch's fused kernels."""

from __future__ import annotations

from functools import partial
from inspect import signature
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelforge.core.matrix import Attention, Projection
from modelforge.layers.register import register_layer, size
from modelforge.layers.rotary import Rotary
from modelforge.modules.arguments import register_reader
from modelforge.modules.parameters import ParameterLayout, whole
from modelforge.modules.structure import Follows, register_inside


class _Attention(nn.Module):
    """What all attention has: projections into heads and back, and what happens between them."""

    def __init__(
        self,
        embed_dim: int,
        kdim: int,
        num_heads: int,
        num_kv_heads: int | None,
        head_dim: int | None,
        bias: bool,
        out_bias: bool | None,
        dropout: float,
        scale: float | None,
    ) -> None:
        super().__init__()
        if head_dim is None and embed_dim % num_heads:
            raise ValueError(
                f"embed_dim must be a multiple of num_heads, but is {embed_dim} with {num_heads} heads: "
                "change one of them, or give head_dim"
            )
        if num_heads % (num_kv_heads or num_heads):
            raise ValueError(f"num_heads must be a multiple of num_kv_heads, but is {num_heads} with {num_kv_heads}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be between 0 and 1, but is {dropout}")
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads or num_heads
        self.head_dim = head_dim or embed_dim // num_heads
        self.dropout = dropout
        self.scale = scale
        self.q_proj = nn.Linear(embed_dim, self.num_heads * self.head_dim, bias)
        self.k_proj = nn.Linear(kdim, self.num_kv_heads * self.head_dim, bias)
        self.v_proj = nn.Linear(kdim, self.num_kv_heads * self.head_dim, bias)
        self.out_proj = nn.Linear(self.num_heads * self.head_dim, embed_dim, bias if out_bias is None else out_bias)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, masks: tuple[Tensor | None, ...], *, causal: bool = False
    ) -> Tensor:
        mask = _mask(masks, query, key, causal=causal)
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal and mask is None,
            scale=self.scale,
            enable_gqa=self.num_kv_heads != self.num_heads,
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def extra_repr(self) -> str:
        shown: dict[str, float] = {"num_heads": self.num_heads, "head_dim": self.head_dim}
        if self.num_kv_heads != self.num_heads:
            shown["num_kv_heads"] = self.num_kv_heads
        if self.scale is not None:
            shown["scale"] = self.scale
        return ", ".join(f"{name}={value}" for name, value in (shown | {"dropout": self.dropout}).items())


def _mask(masks: tuple[Tensor | None, ...], query: Tensor, key: Tensor, *, causal: bool) -> Tensor | None:
    """All masks and biases as one, in the form that torch's kernels take; None where they need none."""
    given = [_with_heads(mask) for mask in masks if mask is not None]
    if causal and given:
        steps = query.shape[-2], key.shape[-2]
        given.append(torch.ones(steps, dtype=torch.bool, device=query.device).tril())
    keep: Tensor | None = None
    bias: Tensor | None = None
    for mask in given:
        if mask.dtype == torch.bool:
            keep = mask if keep is None else keep & mask
        else:
            bias = mask if bias is None else bias + mask
    if bias is None:
        return keep
    bias = bias.to(query.dtype)
    return bias if keep is None else torch.where(keep, bias, -inf)


def _with_heads(mask: Tensor) -> Tensor:
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise TypeError(f"a mask is bool (true where to attend), a bias floating-point, but this is {mask.dtype}")
    if mask.ndim == 2:
        return mask[:, None, None]
    return mask[:, None] if mask.ndim == 3 else mask


def _layout(module: Any) -> dict[str, ParameterLayout]:
    """Which of the children make queries, keys and values, and which makes the output."""
    width = module.q_proj.in_features
    known = partial(Attention, num_heads=module.num_heads, head_size=module.head_dim, width=width)
    makers: tuple[tuple[str, Projection], ...] = (("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), ("out_proj", "o"))
    layouts: dict[str, ParameterLayout] = {}
    for child, name in makers:
        weight, bias = (module.get_submodule(child)._parameters[local] for local in ("weight", "bias"))
        shown = "" if name == "o" else name
        layouts[f"{child}.weight"] = ParameterLayout("weight", (whole(weight, name=shown, attention=known((name,))),))
        if bias is not None:
            layouts[f"{child}.bias"] = ParameterLayout("bias", (whole(bias, name=shown),))
    return layouts


@register_layer(axes="steps features", kind="layer", infer={"embed_dim": -1}, layout=_layout)
class SelfAttention(_Attention):
    """Steps of a sequence attend to one another: out_proj(softmax(scale · q kᵀ + bias) v), in heads of their own.

    Up to two more inputs may say who attends to whom. A `bool` tensor is a mask, true where to attend; a floating-point
    one is a bias, added to the logits (`RelativePositionBias`). Either is (batch, heads, target, source), or what
    broadcasts to it, or without heads (batch, target, source), or for padding (batch, source).

    Formula: softmax(scale · q kᵀ + bias) v with q, k, v = x Wᵀ, each head on its own
    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; fewer heads for keys and values: Ainslie et al. 2023,
        arXiv:2305.13245; rotary positions: see `Rotary`

    Args:
        embed_dim: Features of what arrives, and of the output.
        num_heads: Heads of the queries.
        num_kv_heads: Heads of keys and values, each read by as many heads of queries; left out: as many as those.
        head_dim: Features of a head; left out: `embed_dim / num_heads`.
        causal: No step attends to a later one.
        bias: Whether the projections have biases.
        out_bias: Whether the output projection has one; left out: as the others.
        dropout: Probability of an attention weight to be zeroed in training.
        scale: What logits are multiplied by; left out: `1 / √head_dim`.
        rotary: Queries and keys are rotated by angles that grow with their step, as in Llama.
        rope_theta: Base of the frequencies.
        rope_factor: By how much the longest waves are stretched, as in Llama 3.1; 1 stretches none.
        rope_low_freq_factor: Waves that fit less often into `rope_original_steps` are stretched in full.
        rope_high_freq_factor: Waves that fit more often stay as they are.
        rope_original_steps: The context that the frequencies were made for.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        causal: bool = False,
        bias: bool = True,
        out_bias: bool | None = None,
        dropout: float = 0.0,
        scale: float | None = None,
        rotary: bool = False,
        rope_theta: float = 10_000.0,
        rope_factor: float = 1.0,
        rope_low_freq_factor: float = 1.0,
        rope_high_freq_factor: float = 4.0,
        rope_original_steps: int = 8192,
    ) -> None:
        super().__init__(embed_dim, embed_dim, num_heads, num_kv_heads, head_dim, bias, out_bias, dropout, scale)
        self.causal = causal
        rope = rope_theta, rope_factor, rope_low_freq_factor, rope_high_freq_factor, rope_original_steps
        if not rotary and rope != (10_000.0, 1.0, 1.0, 4.0, 8192):
            raise ValueError("rope_theta and the other rope_* have no effect without rotary: set rotary to true")
        scaling = rope_factor, rope_low_freq_factor, rope_high_freq_factor, rope_original_steps
        self.rotary = Rotary(self.head_dim, rope_theta, *scaling) if rotary else None

    def forward(self, x: Tensor, mask: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        query, key, value = (self._heads(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        if self.rotary is not None:
            query, key = self.rotary(query, key)
        return self._attend(query, key, value, (mask, bias), causal=self.causal)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, causal={self.causal}"


@register_layer(
    axes="steps features", kind="layer", infer={"embed_dim": -1, "kdim": size(-1, of_input=1)}, layout=_layout
)
class CrossAttention(_Attention):
    """Steps of the first input attend to those of the second: queries from the one, keys and values from the other.

    A third input may be a mask or a bias, see `SelfAttention`.

    Formula: softmax(scale · q kᵀ + bias) v with q = x Wᵀ and k, v = source Wᵀ, each head on its own
    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.3

    Args:
        embed_dim: Features of the first input, and of the output.
        num_heads: Heads of the queries.
        kdim: Features of the second input.
        num_kv_heads: Heads of keys and values, each read by as many heads of queries; left out: as many as those.
        head_dim: Features of a head; left out: `embed_dim / num_heads`.
        bias: Whether the projections have biases.
        out_bias: Whether the output projection has one; left out: as the others.
        dropout: Probability of an attention weight to be zeroed in training.
        scale: What logits are multiplied by; left out: `1 / √head_dim`.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        kdim: int | None = None,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = True,
        out_bias: bool | None = None,
        dropout: float = 0.0,
        scale: float | None = None,
    ) -> None:
        super().__init__(
            embed_dim, kdim or embed_dim, num_heads, num_kv_heads, head_dim, bias, out_bias, dropout, scale
        )

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None = None) -> Tensor:
        query, key, value = self.q_proj(x), self.k_proj(source), self.v_proj(source)
        return self._attend(self._heads(query), self._heads(key), self._heads(value), (mask,))


@register_inside(SelfAttention, CrossAttention)
def _inside(module: _Attention) -> dict[str, Follows]:
    """Nothing but a bilinear form and a mean read what is projected into heads."""
    del module
    return {"q_proj": (), "k_proj": (), "v_proj": (), "out_proj": "output"}


@register_reader(CrossAttention)
def _read_projections(module: Any) -> dict[str, Any]:
    """What the projections show, with what is left out by default as it was left out."""
    bias, out_bias = module.q_proj.bias is not None, module.out_proj.bias is not None
    width = module.q_proj.in_features
    return {
        "embed_dim": width,
        "kdim": module.k_proj.in_features,
        "num_kv_heads": None if module.num_kv_heads == module.num_heads else module.num_kv_heads,
        "head_dim": None if module.head_dim * module.num_heads == width else module.head_dim,
        "bias": bias,
        "out_bias": None if out_bias == bias else out_bias,
    }


@register_reader(SelfAttention)
def _read_self(module: SelfAttention) -> dict[str, Any]:
    rotary = module.rotary
    if rotary is None:
        names = ("theta", "factor", "low_freq_factor", "high_freq_factor", "original_steps")
        known = {f"rope_{name}": signature(SelfAttention).parameters[f"rope_{name}"].default for name in names}
        return _read_projections(module) | {"rotary": False} | known
    return _read_projections(module) | {
        "rotary": True,
        "rope_theta": rotary.theta,
        "rope_factor": rotary.factor,
        "rope_low_freq_factor": rotary.low,
        "rope_high_freq_factor": rotary.high,
        "rope_original_steps": rotary.original_steps,
    }
