"""Aliasing: tensors in the same memory or computed from it, so that writing one would change, or need, another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import gcd

import torch
from torch import Tensor

from modelforge.building.shards import shard_of
from modelforge.modules.parametrised import Parametrised


def overlaps_itself(tensor: Tensor) -> bool:
    """Whether several elements are one place in memory, as in expanded tensors and in overlapping windows."""
    reach = 0
    dimensions = zip(tensor.stride(), tensor.shape, strict=True)
    for step, size in sorted((step, size) for step, size in dimensions if size > 1):
        if step <= reach:
            return tensor.numel() > 0
        reach += (size - 1) * step
    return False


def shared(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """Pairs of names whose tensors have an element in common: each tensor with an earlier one, if there is one.

    No tensor may overlap itself. Tensors side by side in one storage share nothing.
    """
    storages: dict[tuple[str, int], list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.numel():
            storages.setdefault((str(tensor.device), tensor.untyped_storage().data_ptr()), []).append(name)
    for names in storages.values():
        if len(names) > 1:
            yield from _in_one_storage({name: tensors[name] for name in names})


def _in_one_storage(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    spans = {name: _span(tensor) for name, tensor in tensors.items()}
    ordered = sorted(tensors, key=lambda name: spans[name])
    if all(spans[one][1] <= spans[other][0] for one, other in pairwise(ordered)):
        return
    # Spans that cross need not share an element: columns of one matrix do not. So each unit of bytes, as small as they
    # need it, is marked by its owner.
    begin, end = spans[ordered[0]][0], max(stop for _, stop in spans.values())
    unit = gcd(*(tensor.element_size() for tensor in tensors.values()), *(start - begin for start, _ in spans.values()))
    owner = torch.zeros((end - begin) // unit, dtype=torch.int16 if len(tensors) < 1 << 15 else torch.int32)
    names = list(tensors)
    for number, name in enumerate(names, start=1):
        tensor = tensors[name]
        size = tensor.element_size() // unit
        strides = (*(step * size for step in tensor.stride()), 1)
        places = owner.as_strided((*tensor.shape, size), strides, (spans[name][0] - begin) // unit)
        if first := int(places.max()):
            yield names[first - 1], name
        else:
            places.fill_(number)


def _span(tensor: Tensor) -> tuple[int, int]:
    """The bytes of its storage from the first element to the end of the last."""
    first = int(tensor.storage_offset())
    last = first + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return first * tensor.element_size(), (last + 1) * tensor.element_size()


def unwritable(item: Parametrised, uses: Mapping[int, int]) -> str:
    """What a parametrised tensor is that keeps it from being written; empty where it can be.

    Args:
        item: The tensor.
        uses: By the ids of parameters, how often modules compute with them.
    """
    if item.refusal:
        return f"is parametrised: {item.refusal}"
    if any(uses[id(original)] > 1 for original in item.originals):
        return "is parametrised, and what it is computed from is also used elsewhere"
    if any(shard_of(original.detach()).distributed for original in item.originals):
        return "is parametrised and sharded: its parts cannot be computed alone"
    return ""
