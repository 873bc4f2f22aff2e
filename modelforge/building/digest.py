"""digest: a module's parameters → one short text that identifies their values."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.core.complaints import require


def digest(module: nn.Module, decimals: int | None = None) -> str:
    """A SHA-256 over every parameter's path, shape, dtype and values, on any device and however sharded.

    Two models have equal digests if they start equal: bit by bit, or with `decimals` up to rounding, for comparisons
    between machines. Sharded parameters are put together one at a time, so all processes must call it.

    Args:
        module: The module to identify. Tied parameters count once; buffers do not count.
        decimals: The number of decimals to which values are rounded first; 6 for a comparison to 1e-6.

    Returns:
        64 hexadecimal digits.

    Raises:
        TypeError: it is no module.

    Example:
        >>> from modelforge.building.initialize import initialize
        >>> one, two = nn.Linear(3, 2), nn.Linear(3, 2)
        >>> _ = initialize(one, "xavier"), initialize(two, "xavier")
        >>> digest(one) == digest(two), digest(one) == digest(nn.Linear(3, 2))
        (True, False)
    """
    require(module, nn.Module, "digest takes an nn.Module")
    found = hashlib.sha256()
    for path, weight in sorted(module.named_parameters()):
        found.update(f"{path} {tuple(weight.shape)} {weight.dtype}\n".encode())
        found.update(_bytes(weight.detach(), decimals))
    return found.hexdigest()


def _bytes(weight: Tensor, decimals: int | None) -> bytes:
    tensor: Any = weight
    whole: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else weight
    values = whole.to("cpu").resolve_conj().resolve_neg().contiguous()
    if decimals is not None and values.is_floating_point():
        # As whole numbers, which have a single zero.
        values = (values.double() * 10.0**decimals).round().to(torch.int64)
    return values.reshape(-1).view(torch.uint8).numpy().tobytes()
