"""digest: a module's parameters → one short text that identifies their values."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.core.complaints import require
from modelforge.core.quoting import quoted
from modelforge.modules.hooks import as_written

MOST_DECIMALS = 15
"""As many as numbers in double precision have for certain."""


def digest(module: nn.Module, decimals: int | None = None) -> str:
    """A SHA-256 over every parameter's path, shape, dtype and values, on any device and however sharded.

    Two models have equal digests if they start equal: bit by bit, or with `decimals` up to rounding, for comparisons
    between machines. What `torch.compile` gives has the digest of what was compiled, as a whole or part by part.
    Sharded parameters are put together one at a time, so all processes must call it.

    Args:
        module: The module to identify. Tied parameters count once; buffers do not count.
        decimals: The number of decimals, 0 to 15, to which values are rounded first; 6 for a comparison to 1e-6.

    Returns:
        64 hexadecimal digits.

    Raises:
        TypeError: it is not a module.
        ValueError: `decimals` is something else.

    Example:
        >>> from modelforge.building.initialize import initialize
        >>> one, two = nn.Linear(3, 2), nn.Linear(3, 2)
        >>> _ = initialize(one, "xavier"), initialize(two, "xavier")
        >>> digest(one) == digest(two), digest(one) == digest(nn.Linear(3, 2))
        (True, False)
    """
    require(module, nn.Module, "digest takes an nn.Module")
    if decimals is not None and (type(decimals) is not int or not 0 <= decimals <= MOST_DECIMALS):
        raise ValueError(f"`decimals` must be a whole number from 0 to {MOST_DECIMALS}, but is {quoted(decimals)}")
    found = hashlib.sha256()
    with as_written(module) as written:
        for path, weight in sorted(written.named_parameters()):
            found.update(f"{path} {tuple(weight.shape)} {weight.dtype}\n".encode())
            found.update(_bytes(weight.detach(), decimals))
    return found.hexdigest()


def _bytes(weight: Tensor, decimals: int | None) -> bytes:
    tensor: Any = weight
    whole: Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else weight
    values = whole.to("cpu").resolve_conj().resolve_neg().contiguous()
    if decimals is not None and values.is_complex():
        values = torch.view_as_real(values)
    if decimals is not None and values.is_floating_point():
        values = _rounded(values.double(), decimals)
    return values.reshape(-1).view(torch.uint8).numpy().tobytes()


def _rounded(values: Tensor, decimals: int) -> Tensor:
    """As whole numbers, which have a single zero. What is too large to have decimals, or not finite, is its bits, with
    the sign before them: these are larger numbers than any that stand for decimals."""
    scaled = values * 10.0**decimals
    fits = scaled.abs() < 2.0**62  # false for what is not a number
    bits = torch.where(values.isnan(), torch.nan, values.abs()).view(torch.int64)
    large = torch.where(values < 0, -bits, bits)
    return torch.where(fits, torch.where(fits, scaled, 0.0).round().to(torch.int64), large)
