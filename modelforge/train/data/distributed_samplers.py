"""Samplers of batches for several processes: every example once, in the order of one process.

In training, a step of W processes has the examples that one process has in a batch W times as large. An evaluation has
the batches of one process, in turn. The last ones may not go round: a process without a batch of its own repeats one
that another counts, so that all processes run the model equally often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import pairwise

from torch.utils.data import Sampler


@dataclass(frozen=True, slots=True)
class DataShard:
    """The part of each step that one process has."""

    rank: int = 0
    size: int = 1


WHOLE = DataShard()
"""All of it: a process on its own."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one process has of a step."""

    own: int
    """Examples that it counts; 0 where it repeats those of another process."""


def slices(number: int, batch_size: int, processes: int) -> list[slice]:
    """The parts of the examples of a step: full batches, or as even as the last examples go.

    Example:
        >>> [len(range(7)[one]) for one in slices(7, 4, 3)], [len(range(1)[one]) for one in slices(1, 4, 2)]
        ([3, 2, 2], [1, 0])
    """
    if number == batch_size * processes:
        return [slice(rank * batch_size, (rank + 1) * batch_size) for rank in range(processes)]
    least, more = divmod(number, processes)
    starts = [rank * least + min(rank, more) for rank in range(processes + 1)]
    return [slice(one, other) for one, other in pairwise(starts)]


def train_share(shard: DataShard, batch_size: int, rows: int, index: int) -> Share:
    """The share of a process in a batch of an epoch, by its number."""
    number = min(batch_size * shard.size, rows - index * batch_size * shard.size)
    part = slices(number, batch_size, shard.size)[shard.rank]
    return Share(part.stop - part.start)


def evaluation_share(shard: DataShard, batch_size: int, rows: int, index: int) -> Share:
    """The share of a process in a round of an evaluation: a batch of its own, or nothing."""
    first = index * shard.size * batch_size
    return Share(min(batch_size, max(0, rows - first - shard.rank * batch_size)))


class TrainSampler(Sampler[list[int]]):
    """The batches of one process in an epoch.

    Args:
        sampler: Gives the order of the examples; Lightning calls its `set_epoch`.
        batch_size: Examples of one process.
        shard: The part of this process.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int, shard: DataShard) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.shard = shard

    def __iter__(self) -> Iterator[list[int]]:
        step: list[int] = []
        most = self.batch_size * self.shard.size
        for index in self.sampler:
            step.append(index)
            if len(step) == most:
                yield self._own(step)
                step = []
        if step:
            yield self._own(step)

    def __len__(self) -> int:
        assert isinstance(self.sampler, Sized)
        return -(-len(self.sampler) // (self.batch_size * self.shard.size))

    def _own(self, step: Sequence[int]) -> list[int]:
        parts = slices(len(step), self.batch_size, self.shard.size)
        return [*step[parts[self.shard.rank]]] or [*step[parts[0]]]


class EvaluationSampler(Sampler[list[int]]):
    """The batches of one process in an evaluation.

    Args:
        rows: All examples.
        batch_size: Examples of a batch.
        shard: The part of this process.
    """

    def __init__(self, rows: int, batch_size: int, shard: DataShard) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.shard = shard

    def __iter__(self) -> Iterator[list[int]]:
        for index in range(len(self)):
            rank = self.shard.rank if evaluation_share(self.shard, self.batch_size, self.rows, index).own else 0
            first = (index * self.shard.size + rank) * self.batch_size
            yield [*range(first, min(first + self.batch_size, self.rows))]

    def __len__(self) -> int:
        return -(-self.rows // (self.batch_size * self.shard.size))
