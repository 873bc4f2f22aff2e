"""Shards: the box of a parameter that lives in this process, and how values of the whole parameter are written to it.

A plain tensor is a shard that holds everything. Of a `DTensor` (FSDP2, tensor parallelism) each process holds a box.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

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
    """False where another process holds the same box and counts it."""
    distributed: bool = False
    """Whether other processes hold the rest."""

    def exchanged(self, dims: tuple[int, int] | None) -> Shard:
        """The same memory with two dimensions exchanged; unchanged for None."""
        if dims is None:
            return self
        local, shape, offset = self.local.transpose(*dims), exchange(self.shape, dims), exchange(self.offset, dims)
        return replace(self, local=local, shape=shape, offset=offset)

    def span(self, start: int, stop: int) -> Tensor | None:
        """The memory of the elements `start:stop` (flat, of the whole), where they all lie side by side in it."""
        if tuple(self.local.shape[1:]) != self.shape[1:] or not self.local.is_contiguous():
            return None
        begin = self.offset[0] * prod(self.shape[1:]) if self.shape else 0
        flat = self.local.view(-1)
        return flat[start - begin : stop - begin] if begin <= start <= stop <= begin + len(flat) else None

    def count(self, start: int, stop: int) -> int:
        """The number of the elements `start:stop` (flat, of the whole) that the box holds."""
        if self.local.shape == self.shape:
            return stop - start
        return sum(memory.numel() for memory in self.memory(start, stop))

    def memory(self, start: int, stop: int) -> list[Tensor]:
        """The memory of the elements `start:stop` (flat, of the whole), as far as the box holds them."""
        return [piece.memory for piece in self._pieces(start, stop)]

    def write(self, values: Tensor, start: int) -> list[Tensor]:
        """Writes `values`, the elements from `start` on (flat, of the whole), as far as the box holds them.

        Returns:
            The memory that was written.
        """
        pieces = list(self._pieces(start, start + len(values)))
        for piece in pieces:
            _copy(piece.memory, piece.pick(values))
        return [piece.memory for piece in pieces]

    def _pieces(self, start: int, stop: int) -> Iterator[_Piece]:
        first = 0
        for box in _boxes(self.shape, start, stop):
            shape = tuple(side.stop - side.start for side in box)
            sides = zip(box, self.offset, self.local.shape, strict=True)
            held = [(max(side.start, begin), min(side.stop, begin + size)) for side, begin, size in sides]
            if all(low < high for low, high in held):
                here = tuple(slice(a - begin, b - begin) for (a, b), begin in zip(held, self.offset, strict=True))
                there = tuple(slice(a - side.start, b - side.start) for (a, b), side in zip(held, box, strict=True))
                yield _Piece(self.local[here], first, shape, there)
            first += prod(shape)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Memory in a box, and its part of the values to write."""

    memory: Tensor
    first: int
    """Number of the first value of a block of values."""
    shape: tuple[int, ...]
    """Shape of that block."""
    part: tuple[slice, ...]
    """The part of the block that belongs to the memory."""

    def pick(self, values: Tensor) -> Tensor:
        return values[self.first : self.first + prod(self.shape)].view(self.shape)[self.part]


def _boxes(shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[slice, ...]]:
    """Boxes that together are the elements `start:stop` of a tensor of this shape, in order: part of a row, whole rows,
    part of a row."""
    if start >= stop:
        return
    if not shape:
        yield ()
        return
    size = prod(shape[1:])
    first, last = -(-start // size), stop // size
    if first > last:
        yield from _boxes_in_row(last, shape, start, stop)
        return
    yield from _boxes_in_row(first - 1, shape, start, first * size)
    if first < last:
        yield slice(first, last), *(slice(0, side) for side in shape[1:])
    yield from _boxes_in_row(last, shape, last * size, stop)


def _boxes_in_row(row: int, shape: tuple[int, ...], start: int, stop: int) -> Iterator[tuple[slice, ...]]:
    begin = row * prod(shape[1:])
    for box in _boxes(shape[1:], start - begin, stop - begin):
        yield slice(row, row + 1), *box


def in_memory_order(tensor: Tensor) -> list[int]:
    """The dimensions of a tensor by falling stride."""
    return sorted(range(tensor.ndim), key=tensor.stride, reverse=True)


_SIDE = 128
"""Neighbouring elements that are written at a time where their values lie far apart: few enough to stay in a core's own
cache."""


def _copy(memory: Tensor, values: Tensor) -> None:
    order = in_memory_order(memory)
    if order == [*range(memory.ndim)]:
        memory.copy_(values)
        return
    # A transposed copy that is then written is fastest: writing straight into a part of a matrix takes several times as
    # long.
    parts = (tensor.permute(order).split(_SIDE, -1) for tensor in (memory, values))
    for there, here in zip(*parts, strict=True):
        there.copy_(here.contiguous())


def exchange(sizes: tuple[int, ...], dims: tuple[int, int]) -> tuple[int, ...]:
    """
    >>> exchange((4, 2, 3), (1, 2))
    (4, 3, 2)
    """
    order = [*range(len(sizes))]
    order[dims[0]], order[dims[1]] = order[dims[1]], order[dims[0]]
    return tuple(sizes[dim] for dim in order)


def shard_of(tensor: Tensor) -> Shard:
    """The part of a parameter that lives here.

    Raises:
        TypeError: parts of sums live in several processes, so no value can be written.
    """
    if not is_spread(tensor):
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


def is_spread(tensor: Tensor) -> bool:
    """Whether a tensor is a `DTensor`, of which this process holds a part."""
    # Unless the module is imported already there is no DTensor, and importing it takes long.
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def whole(tensor: Tensor) -> Tensor:
    """A tensor with what other processes hold of it; of a `DTensor`, all of them must call it."""
    spread: Any = tensor
    return spread.full_tensor() if is_spread(tensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor."""
    spread: Any = tensor
    return spread.to_local() if is_spread(tensor) else tensor


def over_processes(
    values: Sequence[Sequence[float]], device: torch.device, *, greatest: bool = False
) -> list[list[float]]:
    """The sums over all processes, or the greatest values, row by row."""
    table = torch.tensor(values, dtype=torch.float64, device=device)
    operation = torch.distributed.ReduceOp.MAX if greatest else torch.distributed.ReduceOp.SUM
    torch.distributed.all_reduce(table, operation)
    return table.tolist()
