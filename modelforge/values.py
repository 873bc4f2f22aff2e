"""What flows between layers while planning: shapes and dtypes in place of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

BATCH = 251
"""The batch size that stands for any: a prime that no sane architecture holds."""


@dataclass(frozen=True, slots=True)
class TensorValue:
    """A tensor's shape, batch included, and its dtype by name."""

    shape: tuple[int, ...]
    dtype: str = "float32"

    @property
    def example_shape(self) -> tuple[int | str, ...]:
        """The shape of one example; where the batch is not dimension 0, it stays as `B`."""
        if self.shape[:1] == (BATCH,):
            return self.shape[1:]
        return tuple(size if size % BATCH or not size else _times_batch(size // BATCH) for size in self.shape)

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.example_shape))
        return f"({inner},)" if len(self.example_shape) == 1 else f"({inner})"


def _times_batch(factor: int) -> str:
    return "B" if factor == 1 else f"{factor}·B"


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


def show(value: Value) -> str:
    """A value in words: `(8, 64)`, or `(8, 64) and ((1, B, 64), (1, B, 64))`."""
    if isinstance(value, tuple):
        return "(" + ", ".join(show(item) for item in value) + ")"
    return str(value) if value is not None else "nothing"


def plain(value: object) -> object:
    """Arguments as JSON has them: tuples as lists."""
    return [plain(item) for item in value] if isinstance(value, tuple | list) else value


def to_data(value: Value) -> object:
    """A value as plain data."""
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    return None if value is None else {"shape": list(value.example_shape), "dtype": value.dtype}
