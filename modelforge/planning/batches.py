"""Batches: the inputs of a layer as real tensors, and changes of them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from modelforge.core.tensors import TensorValue, Value, leaves, mapped

CHANGED = 1
"""The example in which the two batches differ: it has neighbours on both sides."""
Integers = Literal["both", 0, 1]
Batch = tuple[Any, ...]
"""The inputs of a layer."""


def has_integers(inputs: tuple[Value, ...]) -> bool:
    """Whether some inputs are not floating-point numbers."""
    return any(not _dtype(value).is_floating_point for value in leaves(inputs))


def _dtype(value: TensorValue) -> torch.dtype:
    return getattr(torch, value.dtype)


def random_values(value: Value, rows: int, integers: Integers) -> Any:
    """N(0, 1), zeros and ones, or true."""

    def made(value: TensorValue) -> Tensor:
        dtype, shape = _dtype(value), value.of(rows)
        if dtype.is_complex:
            return torch.randn(shape, dtype=dtype)
        if dtype.is_floating_point:
            return torch.randn(shape).to(dtype)
        if dtype == torch.bool:
            return torch.ones(shape, dtype=dtype)
        return torch.randint(2, shape, dtype=dtype) if integers == "both" else torch.full(shape, integers, dtype=dtype)

    return mapped(made, value)


def changed(value: Value, one: Any) -> Any:
    """The same batch with another example in one place."""
    return mapped(_changed, value, one)


def _changed(value: TensorValue, one: Tensor) -> Tensor:
    if value.batch_axis is None or one.dtype == torch.bool:
        return one
    other = one.clone()
    row = other.select(value.batch_axis, CHANGED)
    if _is_real_or_complex(one):
        row.copy_(torch.randn(row.shape, dtype=torch.float32).to(row.dtype))
    elif one.numel() and one.min() != one.max():
        row.copy_(1 - row)
    return other


def copied(batch: Batch) -> Batch:
    """A copy, which a layer may write into."""
    return mapped(Tensor.clone, batch)


def with_gradient(batch: Batch) -> Batch:
    """The same values, which gradients reach."""
    return mapped(lambda value: value.clone().requires_grad_() if _is_real_or_complex(value) else value, batch)


def times(factor: float, batch: Batch) -> Batch:
    """The same values on another scale."""
    return mapped(lambda value: value * factor if value.is_floating_point() else value, batch)


def positive(batch: Batch) -> Batch:
    """The same values without their signs."""
    return mapped(lambda value: value.abs() if value.is_floating_point() else value, batch)


def _is_real_or_complex(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal but for rounding."""
    if one.shape != other.shape:
        return False
    if not _is_real_or_complex(one) or not one.numel():
        return torch.equal(one, other)
    one, other = (value.nan_to_num(0.0, 0.0, 0.0) if not value.is_complex() else value for value in (one, other))
    scale = float(one.abs().max())
    return torch.allclose(one, other, rtol=0.0, atol=1e-5 * scale + 1e-12)
