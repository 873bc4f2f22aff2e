"""What a role of parameter gets where no rule covers it; weights have no default."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


def constant(value: float) -> dict[str, Any]:
    """The init block of a constant, for what a role or a layer itself says of its parameters."""
    return {"scheme": "constant", "value": value}


KEPT: Mapping[str, Any] = MappingProxyType({"scheme": "keep"})
"""The init block of a frozen parameter."""
ROLE_DEFAULTS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "bias": constant(0.0),
        "scale": constant(1.0),
        "embedding": {"scheme": "normal", "mean": 0.0, "std": 0.02},
    }
)
