"""draw: decided parameters and their memory → values, and sums over what was written.

Long parameters are drawn in chunks of a fixed size, each with a key of its own, so that neither the number of threads
nor the order of work changes a bit.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from modelforge.block import Block
from modelforge.inits.base import Fill
from modelforge.ledger import Tally, measure
from modelforge.rng import CHUNK, seed_
from modelforge.rules import ParameterPlan
from modelforge.settings import one_thread


def draw(items: Sequence[ParameterPlan], tensors: Mapping[str, Tensor], seed: int) -> dict[str, list[Tally]]:
    """Fills the tensor of each parameter exactly once, on all cores.

    Args:
        items: Parameters whose schemes draw.
        tensors: Their memory, by path; on any device and of any floating dtype.
        seed: Key of all random numbers.

    Returns:
        For each path the sums over each piece that was drawn.
    """
    jobs = [job for item in items for job in _jobs(item, tensors[item.path], seed)]
    # Matrices first: they cannot be cut, so they must not be what the last thread is left with.
    _run(sorted(jobs, key=lambda job: -job.cost))
    tallies: dict[str, list[Tally]] = {}
    for job in jobs:
        assert job.tally is not None, "every job has run"
        tallies.setdefault(job.path, []).append(job.tally)
    return tallies


@dataclass(frozen=True, slots=True)
class _Region:
    """Rows that one fill serves; `fixed` are the flat spans inside it that keep a constant."""

    row: int
    start: int
    stop: int
    fill: Fill
    fixed: tuple[tuple[int, int, float], ...]


@dataclass(slots=True)
class _Job:
    """One draw: a chunk of an elementwise region, or a whole block."""

    path: str
    cost: int
    draw: Callable[[torch.Generator], Tally]
    tally: Tally | None = None

    def run(self, generator: torch.Generator) -> None:
        self.tally = self.draw(generator)


def _jobs(item: ParameterPlan, tensor: Tensor, seed: int) -> Iterator[_Job]:
    """The draws that fill a parameter; together they cover each of its elements once."""
    flat = tensor.view(-1) if tensor.is_contiguous() else None
    for region in _regions(item):
        if region.fill.elementwise and flat is not None:
            for index, start in enumerate(range(region.start, region.stop, CHUNK)):
                stop = min(start + CHUNK, region.stop)
                key = (seed, item.path, region.row, index)
                yield _Job(item.path, stop - start, _chunk_drawer(flat[start:stop], start, region, key))
        else:
            yield _Job(
                item.path,
                64 * (region.stop - region.start),
                _block_drawer(tensor, region, (seed, item.path, region.row)),
            )


def _regions(item: ParameterPlan) -> Iterator[_Region]:
    """Neighbouring blocks with equal elementwise fills are one region. Fixed rows beside or between them do not part
    it, so that the other values do not depend on which row is fixed."""
    row_size = prod(item.shape[1:])
    groups: list[list[tuple[Block, Fill]]] = []
    for pair in item.fills:
        if groups and _joins(groups[-1], *pair):
            groups[-1].append(pair)
        else:
            groups.append([pair])
    for group in groups:
        free = _free(group)
        start, stop = group[0][0].start, group[-1][0].stop
        spans = ((block.start * row_size, block.stop * row_size, block.fixed) for block, _ in group)
        fixed = tuple((a, b, value) for a, b, value in spans if value is not None)
        fill = group[0][1] if free is None else free
        yield _Region(start, start * row_size, stop * row_size, fill, () if free is None else fixed)


def _joins(group: Sequence[tuple[Block, Fill]], block: Block, fill: Fill) -> bool:
    if not (fill.elementwise and group[-1][1].elementwise):
        return False
    free = _free(group)
    return block.fixed is not None or free is None or free == fill


def _free(group: Sequence[tuple[Block, Fill]]) -> Fill | None:
    """The fill of the blocks that are not fixed, if there are any."""
    return next((fill for block, fill in group if block.fixed is None), None)


def _chunk_drawer(
    target: Tensor, start: int, region: _Region, key: tuple[Any, ...]
) -> Callable[[torch.Generator], Tally]:
    def draw(generator: torch.Generator) -> Tally:
        direct = target.dtype == torch.float32 and target.device.type == "cpu"
        values = target if direct else torch.empty(target.shape, dtype=torch.float32, device="cpu")
        if not region.fill.deterministic:
            seed_(generator, *key)
        region.fill.draw_(values, generator)
        for fixed_start, fixed_stop, value in region.fixed:
            values[max(fixed_start - start, 0) : max(fixed_stop - start, 0)] = value
        if not direct:
            target.copy_(values)
        inside = [(max(a, start), min(b, start + len(target)), value) for a, b, value in region.fixed]
        left_out = [(b - a, value) for a, b, value in inside if b > a]
        return measure(target, region.fill, left_out)

    return draw


def _block_drawer(tensor: Tensor, region: _Region, key: tuple[Any, ...]) -> Callable[[torch.Generator], Tally]:
    def draw(generator: torch.Generator) -> Tally:
        rows = max(tensor.shape[0], 1) if tensor.ndim else 1
        row_size = tensor.numel() // rows
        end = region.stop // row_size if row_size else tensor.shape[0]
        part = tensor[region.row : end] if tensor.ndim else tensor
        # What a scheme forgets to write must not pass for a value.
        values = torch.full(part.shape, torch.nan, dtype=torch.float32, device="cpu")
        if region.fill.elementwise:
            for index, chunk in enumerate(values.view(-1).split(CHUNK)):
                region.fill.draw_(chunk, seed_(generator, *key, index))
            for start, stop, value in region.fixed:
                values.view(-1)[start - region.start : stop - region.start] = value
        else:
            region.fill.draw_(values, seed_(generator, *key))
        part.copy_(values)
        return measure(part, region.fill, [(stop - start, value) for start, stop, value in region.fixed])

    return draw


def _run(jobs: Sequence[_Job]) -> None:
    """Runs all jobs, on all cores. The first error ends the work and is raised."""
    pending = deque(jobs)
    errors: list[BaseException] = []

    def work() -> None:
        generator = torch.Generator()
        with torch.no_grad():
            while pending and not errors:
                try:
                    job = pending.popleft()
                except IndexError:
                    return
                try:
                    job.run(generator)
                except BaseException as error:
                    errors.append(error)

    threads: list[threading.Thread] = []
    # Our threads are the parallelism: torch's own inside them would compete, and change the bits of factorisations.
    with one_thread():
        try:
            for _ in range(min(len(jobs), os.cpu_count() or 1) - 1):
                thread = threading.Thread(target=work)
                thread.start()
                threads.append(thread)
            work()
        finally:
            # Where all went well nothing is pending; where this thread was interrupted, the others must stop too.
            pending.clear()
            for thread in threads:
                thread.join()
    if errors:
        raise errors[0]
