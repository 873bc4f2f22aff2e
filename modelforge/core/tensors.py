"""What flows between layers while planning: shapes and dtypes in place of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from modelforge.core.frozen import plain


class BatchSize(int):
    """A size that grows with the batch: `factor` times it, plus `offset`. A plain 251 is not one, though it is equal.

    >>> BATCH, BatchSize(2), BatchSize(1, -1), 251
    (B, 2·B, B - 1, 251)
    """

    ROWS = 251
    """The number of examples that stands for any: torch counts with it on the meta device."""
    factor: int
    offset: int

    def __new__(cls, factor: int = 1, offset: int = 0) -> BatchSize:
        made = super().__new__(cls, cls.ROWS * factor + offset)
        made.factor = factor
        made.offset = offset
        return made

    def __getnewargs__(self) -> tuple[int, int]:  # pyright: ignore[reportIncompatibleMethodOverride]  # its own constructor
        return self.factor, self.offset

    def __repr__(self) -> str:
        text = "B" if self.factor == 1 else f"{self.factor}·B"
        return f"{text} {'+' if self.offset > 0 else '-'} {abs(self.offset)}" if self.offset else text

    __str__ = __repr__

    def of(self, rows: int) -> int:
        """The size in a batch of so many."""
        return self.factor * rows + self.offset


BATCH = BatchSize()
"""The size of the batch itself."""


def is_batch(size: int) -> bool:
    """Whether a size is the batch's own."""
    return isinstance(size, BatchSize) and (size.factor, size.offset) == (1, 0)


def compared(one: int, other: int, rows: tuple[int, int]) -> int:
    """A size that was seen in batches of two sizes: a plain one, or one that grows with the batch."""
    if one == other:
        return one
    factor = (one - other) // (rows[0] - rows[1])
    return BatchSize(factor, one - factor * rows[0])


@dataclass(frozen=True, slots=True)
class TensorValue:
    """A tensor's shape, batch included, and its dtype by name."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def example_shape(self) -> tuple[int | str, ...]:
        """The shape of one example; where the batch is not dimension 0, it stays as `B`."""
        example = self.shape[1:] if self.shape and is_batch(self.shape[0]) else self.shape
        return tuple(str(size) if isinstance(size, BatchSize) else size for size in example)

    def of(self, rows: int) -> tuple[int, ...]:
        """The shape in a batch of so many."""
        return tuple(size.of(rows) if isinstance(size, BatchSize) else size for size in self.shape)

    @property
    def batch_axis(self) -> int | None:
        """The dimension that holds the batch; None where none does, or more than one."""
        axes = [axis for axis, size in enumerate(self.shape) if is_batch(size)]
        return axes[0] if len(axes) == 1 else None

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.example_shape))
        return f"({inner},)" if len(self.example_shape) == 1 else f"({inner})"


Value: TypeAlias = "TensorValue | tuple[Value, ...] | None"
"""What a layer gives: a tensor, or several (nested as the layer nests them)."""


def first(value: Value) -> tuple[int, ...]:
    """Where in a value the tensor is that a plain reference means: the first output."""
    return (0, *first(value[0])) if isinstance(value, tuple) and value else ()


def at(value: Value, path: tuple[int, ...]) -> Value:
    """The part of a value at an index path; IndexError or TypeError if there is none."""
    for index in path:
        if not isinstance(value, tuple):
            raise TypeError("not a tuple")
        value = value[index]
    return value


def leaves(value: Value) -> Iterator[TensorValue]:
    """The tensors of a value, in order."""
    if isinstance(value, TensorValue):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from leaves(item)


def mapped(function: Callable[..., Any], value: Any, *others: Any) -> Any:
    """A function of each tensor of a value, and of what has its place in others of the same nesting.

    >>> mapped(lambda one, other: one + other, (1, (2, None)), (10, (20, None)))
    (11, (22, None))
    """
    if isinstance(value, tuple | list):
        return tuple(mapped(function, *items) for items in zip(value, *others, strict=True))
    return None if value is None else function(value, *others)


def show(value: Value) -> str:
    """A value in words: `(8, 64)`, or `(8, 64) and ((1, B, 64), (1, B, 64))`."""
    if isinstance(value, tuple):
        return "(" + ", ".join(show(item) for item in value) + ")"
    return str(value) if value is not None else "nothing"


def to_data(value: Value) -> object:
    """A value as plain data."""
    return plain(mapped(lambda tensor: {"shape": list(tensor.example_shape), "dtype": tensor.dtype}, value))
