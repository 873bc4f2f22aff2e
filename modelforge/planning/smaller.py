"""smaller: a layer and its inputs → the same with small sizes, as far as the layer's declaration permits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelforge.core.tensors import TensorValue, Value, mapped
from modelforge.language import registry
from modelforge.language.registry import LayerType

SMALL = 4
"""A size that stands for any larger one."""


@dataclass(frozen=True, slots=True)
class TrialCase:
    """A layer with its arguments and inputs, as it is or smaller."""

    layer: LayerType
    arguments: Mapping[str, Any]
    inputs: tuple[Value, ...]


def shrunk(layer: LayerType, arguments: Mapping[str, Any], inputs: tuple[Value, ...]) -> TrialCase | None:
    """The layer with small axes where it declares that they may be of any size; None where no size changes."""
    first = next(iter(inputs), None)
    if not isinstance(first, TensorValue):
        return None
    axes = _free_axes(layer, first)
    sizes = {first.shape[axis] for axis in axes}
    few_inputs = tuple(
        _with_small_axes(value, axes if index == 0 else None, sizes) for index, value in enumerate(inputs)
    )
    few = dict(arguments)
    for name, most in registry.SMALL.items():
        if type(few.get(name)) is int and few[name] > most:
            few[name] = most
    shapes = tuple(value.shape if isinstance(value, TensorValue) else () for value in few_inputs)
    for name, rule in layer.infer.items():
        size = rule(shapes)
        if name in few and size is not None and name not in layer.at_least:
            few[name] = size
    return None if (few, few_inputs) == (arguments, inputs) else TrialCase(layer, few, few_inputs)


def _free_axes(layer: LayerType, first: TensorValue) -> frozenset[int]:
    """The axes of the first input that may be of any size."""
    rank = len(first.shape) - 1
    if not layer.axes:
        return frozenset(range(1, rank + 1))
    for names in layer.axes:
        if "..." in names:
            at = names.index("...")
            names = (*names[:at], *["..."] * (rank + 1 - len(names)), *names[at + 1 :])
        if len(names) == rank:
            return frozenset(axis for axis, name in enumerate(names, 1) if name in registry.FREE_AXES)
    return frozenset()


def _with_small_axes(value: Value, axes: frozenset[int] | None, sizes: set[int]) -> Value:
    """A value with small axes: those of the numbers `axes`, or for None those of the sizes `sizes`."""

    def small(tensor: TensorValue) -> TensorValue:
        shape = (
            min(size, SMALL) if axis and (size in sizes if axes is None else axis in axes) else size
            for axis, size in enumerate(tensor.shape)
        )
        return replace(tensor, shape=tuple(shape))

    return mapped(small, value)
