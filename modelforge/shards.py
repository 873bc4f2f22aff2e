"""Shards: which box of a parameter lives in this process, and writing values of the whole parameter into it.

A plain tensor is a shard that holds everything. Of a `DTensor` (FSDP2, tensor parallelism) each process holds a box.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Shard:
    """A box of a parameter, and its memory."""

    local: Tensor
    """The memory, of the box's shape."""
    shape: tuple[int, ...]
    """Shape of the whole parameter."""
    offset: tuple[int, ...]
    """Where in the whole the box begins."""
    counts: bool = True
    """False where another process holds the same box and is the one that counts."""
    distributed: bool = False
    """Whether other processes hold the rest."""

    @cached_property
    def _row_size(self) -> int:
        return prod(self.shape[1:])

    @cached_property
    def _whole_rows(self) -> bool:
        return tuple(self.local.shape[1:]) == self.shape[1:]

    def span(self, start: int, stop: int) -> Tensor | None:
        """The memory of the elements `start:stop` (flat, of the whole), where they all lie side by side in it."""
        if not self._whole_rows or not self.local.is_contiguous():
            return None
        begin = self.offset[0] * self._row_size if self.shape else 0
        flat = self.local.view(-1)
        return flat[start - begin : stop - begin] if begin <= start <= stop <= begin + len(flat) else None

    def holds(self, start: int, stop: int) -> bool:
        """Whether any of the elements `start:stop` may lie in the box, by its rows."""
        if not self.shape:
            return True
        begin = self.offset[0] * self._row_size
        return self.local.numel() > 0 and start < begin + self.local.shape[0] * self._row_size and begin < stop

    def write(self, values: Tensor, start: int) -> tuple[Tensor, np.ndarray]:
        """Writes those of `values`, the elements from `start` on, that the box holds.

        Returns:
            What the memory holds of them afterwards, and their numbers in the whole.
        """
        begin = self.offset[0] * self._row_size if self.shape else 0
        first, last = max(start, begin), min(start + len(values), begin + self.local.numel())
        if (memory := self.span(first, last)) is not None:
            memory.copy_(values[first - start : last - start])
            return memory, np.arange(first, last)
        numbers = np.arange(start, start + len(values))
        places = np.unravel_index(numbers, self.shape)
        box = list(zip(places, self.offset, self.local.shape, strict=True))
        inside = np.logical_and.reduce([(begin <= place) & (place < begin + size) for place, begin, size in box])
        index = tuple(torch.from_numpy(place[inside] - begin).to(self.local.device) for place, begin, _ in box)
        self.local[index] = values[torch.from_numpy(inside)].to(self.local.device, self.local.dtype)
        return self.local[index], numbers[inside]

    def write_rows(self, values: Tensor, row: int) -> Tensor:
        """Writes what the box holds of some rows of the whole, the first of which is number `row`.

        Returns:
            The memory that they went to.
        """
        if not self.shape:
            return self.local.copy_(values)
        first, last = (min(max(edge, self.offset[0]), self._end) for edge in (row, row + len(values)))
        columns = tuple(slice(a, a + size) for a, size in zip(self.offset[1:], self.local.shape[1:], strict=True))
        memory = self.local[first - self.offset[0] : last - self.offset[0]]
        return memory.copy_(values[(slice(first - row, last - row), *columns)])

    @property
    def _end(self) -> int:
        return self.offset[0] + self.local.shape[0]


def shard_of(tensor: Tensor) -> Shard:
    """The part of a parameter that lives here.

    Raises:
        TypeError: parts of sums live in several processes, so no value can be written.
    """
    # Where nobody has imported it there is no DTensor, and importing it takes long.
    module = sys.modules.get("torch.distributed.tensor")
    if module is None or not isinstance(tensor, module.DTensor):
        return Shard(tensor, tuple(tensor.shape), (0,) * tensor.ndim)
    spread: Any = tensor
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    if any(placement.is_partial() for placement in spread.placements):
        raise TypeError("a DTensor of partial sums cannot be written")
    _, offset = compute_local_shape_and_global_offset(tensor.shape, spread.device_mesh, spread.placements)
    here = spread.device_mesh.get_coordinate()
    counts = here is not None and all(
        place == 0 for place, placement in zip(here, spread.placements, strict=True) if placement.is_replicate()
    )
    return Shard(spread.to_local(), tuple(tensor.shape), tuple(offset), counts, distributed=True)


def add_over_processes(sums: Sequence[Sequence[float]], device: torch.device) -> list[list[float]]:
    """Row by row the sums over all processes."""
    table = torch.tensor(sums, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(table)
    return table.tolist()
