"""The networks that the benchmarks build: GPT-2's and ViT-L's shape as configs, and GPT-2's modules by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import modelforge as mf

GPT2_MEDIUM = {"width": 1024, "depth": 24, "heads": 16, "vocabulary": 50257, "positions": 1024}


def gpt2_spec(width: int, depth: int, heads: int, vocabulary: int, positions: int) -> mf.ModelSpec:
    """GPT-2's body, N(0, 0.02²) everywhere: embeddings, pre-norm attention and MLP, a last norm."""
    attention = {"norm": "LayerNorm", "attention": {"type": "MultiheadAttention", "num_heads": heads}}
    mlp = {
        "norm": "LayerNorm",
        "up": {"type": "Linear", "out_features": 4 * width},
        "act": "GELU",
        "down": {"type": "Linear", "out_features": width},
    }
    blocks = {"attention": {"type": "Residual", "layers": attention}, "mlp": {"type": "Residual", "layers": mlp}}
    layers = {
        "token": {"type": "Embedding", "num_embeddings": vocabulary, "embedding_dim": width},
        "position": "PositionEmbedding",
        "blocks": {"type": "Repeat", "times": depth, "layers": blocks},
        "norm": "LayerNorm",
    }
    model = {"input": {"shape": [positions], "dtype": "int64"}, "layers": layers}
    return mf.parse(model, init={"scheme": "normal", "std": 0.02})


def vit_large_spec() -> mf.ModelSpec:
    """The body of ViT-L/16 on the 196 patches of 224 x 224 images, without the class token."""
    mlp = {
        "norm": "LayerNorm",
        "up": {"type": "Linear", "out_features": 4096},
        "act": "GELU",
        "down": {"type": "Linear", "out_features": 1024},
    }
    attention = {"norm": "LayerNorm", "attention": {"type": "MultiheadAttention", "num_heads": 16}}
    block = {"attention": {"type": "Residual", "layers": attention}, "mlp": {"type": "Residual", "layers": mlp}}
    layers = {
        "patch": {"type": "Linear", "out_features": 1024},
        "position": "PositionEmbedding",
        "blocks": {"type": "Repeat", "times": 24, "layers": block},
        "norm": "LayerNorm",
    }
    model = {"input": {"shape": [196, 768]}, "layers": layers}
    return mf.parse(model, init={"scheme": "truncated_normal", "std": 0.02})


def gpt2_by_hand(width: int, depth: int, heads: int, vocabulary: int, positions: int) -> nn.Module:
    """The same modules in plain torch: constructed, then initialised again, as the usual `_init_weights` does."""
    model = nn.ModuleDict({"token": nn.Embedding(vocabulary, width), "position": nn.Embedding(positions, width)})
    for index in range(depth):
        model[f"block_{index}"] = nn.ModuleList(
            [
                nn.LayerNorm(width),
                nn.MultiheadAttention(width, heads, batch_first=True),
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.Linear(4 * width, width),
            ]
        )
    model["norm"] = nn.LayerNorm(width)
    for module in model.modules():
        _init_weights(module)
    return model


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.MultiheadAttention):
        nn.init.normal_(module.in_proj_weight, std=0.02)
        nn.init.zeros_(module.in_proj_bias)


def chain_spec(depth: int) -> mf.ModelSpec:
    """`depth` layers in a row, no two of equal shape next to each other, each with an init block of its own."""
    layers: dict[str, Any] = {
        f"layer_{index}": {"type": "Linear", "out_features": 8 + index % 7, "init": {"gain": 1.0 + index % 3}}
        for index in range(depth)
    }
    return mf.parse({"input": {"shape": [8]}, "layers": layers}, init={"scheme": "xavier"})


def num_elements(module: nn.Module) -> int:
    """Number of elements in all parameters."""
    return sum(weight.numel() for weight in module.parameters())


def bare_fill(count: int) -> torch.Tensor:
    """The floor: one fill of fresh memory of the same size."""
    return torch.empty(count).fill_(1.0)
