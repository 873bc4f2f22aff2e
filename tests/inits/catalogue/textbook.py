"""The schemes of the textbook, which serve every matrix."""

from __future__ import annotations

from typing import Any

from tests.inits.case import Case

_CONFIGS: list[dict[str, Any]] = [
    {"scheme": "constant", "value": 0.3},
    {"scheme": "zeros"},
    {"scheme": "ones"},
    {"scheme": "uniform", "low": -0.1, "high": 0.3},
    {"scheme": "normal", "std": 0.02},
    {"scheme": "normal", "mean": 1.0, "std": 0.02},
    {"scheme": "normal", "mean": 1.0, "std": 0.0},
    {"scheme": "truncated_normal", "std": 0.02},
    {"scheme": "truncated_normal", "std": 0.02, "truncate": 3.0},
    {"scheme": "truncated_normal", "mean": -1.0, "std": 0.02, "truncate": 0.7},
    {"scheme": "truncated_normal", "mean": -1.0, "std": 0.0},
    {"scheme": "sparse", "sparsity": 0.9},
    {"scheme": "sparse", "sparsity": 0.5, "std": 1.0, "axis": "fan_out"},
    {"scheme": "sparse", "sparsity": 0.5, "std": 0.0},
    {"scheme": "orthogonal"},
    {"scheme": "orthogonal", "gain": "auto", "method": "svd"},
    *(
        {"scheme": scheme, "distribution": distribution, "gain": gain, "mode": mode}
        for scheme in ("xavier", "kaiming", "lecun")
        for distribution in ("uniform", "normal", "truncated_normal")
        for gain, mode in ((1.5, "fan_in"), ("auto", "fan_out"), ("GELU", "fan_avg"), ("torch.tanh", "fan_geo"))
    ),
    {"scheme": "glorot"},
    {"scheme": "he"},
    {"scheme": "lecun", "distribution": "truncated_normal", "truncate": 1.5},
]
CASES = [Case(config) for config in _CONFIGS]
