"""Small models of every kind, as plain configs: what tests of build and initialize run on."""

from __future__ import annotations

from typing import Any

import torch

import modelforge as mf

_CONV = {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}
_HEAD = {"type": "Linear", "out_features": 3}
_MLP = {
    "norm": "LayerNorm",
    "up": {"type": "Linear", "out_features": 16},
    "act": "GELU",
    "down": {"type": "Linear", "out_features": 8},
}

MODELS: dict[str, dict[str, Any]] = {
    "mlp": {
        "input": {"shape": [8, 4]},
        "layers": {"flat": "Flatten", "hidden": {"type": "Linear", "out_features": 16}, "act": "PReLU", "head": _HEAD},
    },
    "cnn": {
        "input": {"shape": [2, 8, 8]},
        "layers": {
            "conv1": _CONV,
            "norm": "BatchNorm2d",
            "act": "ReLU",
            "conv2": dict(_CONV, groups=4),
            "up": {"type": "ConvTranspose2d", "out_channels": 4, "kernel_size": 2, "stride": 2},
            "pool": {"type": "AdaptiveAvgPool2d", "output_size": 2},
            "flat": "Flatten",
            "head": _HEAD,
        },
    },
    "residual": {
        "input": {"shape": [2, 8, 8]},
        "layers": {
            "stem": _CONV,
            "body": {
                "type": "Repeat",
                "times": 2,
                "layers": {
                    "block": {
                        "type": "Residual",
                        "layers": {"norm": {"type": "GroupNorm", "num_groups": 2}, "act": "ReLU", "conv": _CONV},
                        "shortcut": {"type": "Conv2d", "out_channels": 8, "kernel_size": 1},
                    }
                },
            },
            "wide": {"type": "Parallel", "branches": {"a": _CONV, "b": {"type": "AvgPool2d", "kernel_size": 1}}},
            "pool": {"type": "AdaptiveAvgPool2d", "output_size": 1},
            "flat": "Flatten",
            "head": _HEAD,
        },
    },
    "lstm": {
        "input": {"shape": [8, 4]},
        "layers": {
            "rnn": {"type": "LSTM", "hidden_size": 6, "num_layers": 2, "bidirectional": True},
            "gru": {"type": "GRU", "hidden_size": 6},
            "last": {"type": "Select", "dim": 1, "index": -1},
            "head": _HEAD,
        },
    },
    "transformer": {
        "input": {"shape": [8], "dtype": "int64"},
        "layers": {
            "embed": {"type": "Embedding", "num_embeddings": 10, "embedding_dim": 8, "padding_idx": 0},
            "place": "PositionEmbedding",
            "body": {
                "type": "Repeat",
                "times": 2,
                "layers": {
                    "attention": {
                        "type": "Residual",
                        "layers": {"norm": "LayerNorm", "attend": {"type": "MultiheadAttention", "num_heads": 2}},
                    },
                    "mlp": {"type": "Residual", "layers": _MLP},
                },
            },
            "encoder": {"type": "TransformerEncoderLayer", "nhead": 2, "dim_feedforward": 16, "dropout": 0.0},
            "mean": {"type": "Mean", "dim": 1},
            "head": _HEAD,
        },
    },
    "attention": {
        "input": {"shape": [8], "dtype": "int64"},
        "layers": {
            "embed": {"type": "Embedding", "num_embeddings": 10, "embedding_dim": 8},
            "louder": {"type": "Rescale", "factor": 8**0.5},
            "waves": "SinusoidalEmbedding",
            "token": "ClassToken",
            "place": {"type": "PositionEmbedding", "num_positions": 12},
            "near": {"type": "RelativePositionBias", "num_heads": 2},
            "biased": {
                "type": "SelfAttention",
                "num_heads": 2,
                "bias": False,
                "scale": 1.0,
                "inputs": ["place", "near"],
            },
            "grouped": {
                "type": "Residual",
                "layers": {
                    "norm": "RMSNorm",
                    "attend": {
                        "type": "SelfAttention",
                        "num_heads": 4,
                        "num_kv_heads": 2,
                        "causal": True,
                        "rotary": True,
                        "rope_factor": 2.0,
                    },
                    "scale": "LayerScale",
                    "drop": {"type": "DropPath", "p": 0.0},
                },
            },
            "cross": {"type": "CrossAttention", "num_heads": 2, "bias": False, "inputs": ["grouped", "place"]},
            "swap": {"type": "Permute", "dims": [0, 2, 1]},
            "flat": {"type": "Reshape", "shape": [-1]},
            "head": _HEAD,
        },
    },
}
INIT = {
    "scheme": "kaiming",
    "recurrent": "orthogonal",
    "bias": {"scheme": "uniform", "low": -0.1, "high": 0.1},
    "scale": {"scheme": "normal", "mean": 1.0, "std": 0.1},
}
"""Nothing constant, so that nothing is equal by chance."""


def spec(name: str, init: Any = None, **changes: Any) -> mf.ModelSpec:
    """One of the models, with a random value for everything unless `init` says otherwise."""
    return mf.parse(MODELS[name] | changes, init=INIT if init is None else init)


def batch(name: str, size: int = 3) -> torch.Tensor:
    """What one of the models reads."""
    given = MODELS[name]["input"]
    generator = torch.Generator().manual_seed(1)
    if given.get("dtype") == "int64":
        return torch.randint(10, (size, *given["shape"]), generator=generator)
    return torch.randn(size, *given["shape"], generator=generator)
