"""batches: what arrives at a layer as real tensors, and changes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from modelforge.core.tensors import TensorValue, Value, leaves

CHANGED = 1
"""The example in which the two batches differ: it has neighbours on both sides."""
Integers = Literal["both", 0, 1]
Batch = list[Any]


def has_integers(inputs: tuple[Value, ...]) -> bool:
    """Whether some of what arrives is no floating-point number."""
    return any(not _dtype(value).is_floating_point for value in leaves(inputs))


def _dtype(value: TensorValue) -> torch.dtype:
    return getattr(torch, value.dtype)


def random_values(value: Value, rows: int, integers: Integers) -> Any:
    """N(0, 1), zeros and ones, or true."""
    if isinstance(value, tuple):
        return tuple(random_values(item, rows, integers) for item in value)
    if value is None:
        return None
    dtype, shape = _dtype(value), value.of(rows)
    if dtype.is_complex:
        return torch.randn(shape, dtype=dtype)
    if dtype.is_floating_point:
        return torch.randn(shape).to(dtype)
    if dtype == torch.bool:
        return torch.ones(shape, dtype=dtype)
    return torch.randint(2, shape, dtype=dtype) if integers == "both" else torch.full(shape, integers, dtype=dtype)


def changed(value: Value, one: Any) -> Any:
    """The same batch with another example in one place."""
    if isinstance(value, tuple):
        return tuple(changed(*pair) for pair in zip(value, one, strict=True))
    if value is None or value.batch_axis is None or one.dtype == torch.bool:
        return one
    other = one.clone()
    row = other.select(value.batch_axis, CHANGED)
    if one.is_floating_point() or one.is_complex():
        row.copy_(torch.randn(row.shape, dtype=torch.float32).to(row.dtype))
    elif one.min() != one.max():
        row.copy_(1 - row)
    return other


def copied(batch: Any) -> Any:
    """A layer may write into what arrives."""
    if isinstance(batch, tuple | list):
        return type(batch)(copied(item) for item in batch)
    return batch.clone() if isinstance(batch, Tensor) else batch


def with_gradient(value: Any) -> Any:
    """The same values, which gradients reach."""
    if isinstance(value, tuple):
        return tuple(map(with_gradient, value))
    if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
        return value.clone().requires_grad_()
    return value


def inner_tensors(batch: Any) -> Iterator[Tensor]:
    """The tensors in a batch."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, tuple | list):
        for item in batch:
            yield from inner_tensors(item)


def times(factor: float, value: Any) -> Any:
    """The same values on another scale."""
    if isinstance(value, tuple):
        return tuple(times(factor, item) for item in value)
    return value * factor if isinstance(value, Tensor) and value.is_floating_point() else value


def positive(value: Any) -> Any:
    """The same values without their signs."""
    if isinstance(value, tuple):
        return tuple(map(positive, value))
    return value.abs() if isinstance(value, Tensor) and value.is_floating_point() else value


def alike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal but for rounding."""
    if one.shape != other.shape:
        return False
    if not (one.is_floating_point() or one.is_complex()) or not one.numel():
        return torch.equal(one, other)
    one, other = (value.nan_to_num(0.0, 0.0, 0.0) if not value.is_complex() else value for value in (one, other))
    scale = float(one.abs().max())
    return torch.allclose(one, other, rtol=0.0, atol=1e-5 * scale + 1e-12)
