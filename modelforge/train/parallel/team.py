"""`Team`: the processes of one training, and what they agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed
from torch.distributed import ProcessGroup, ReduceOp

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """One process of a training as it sees the others; by default there are none.

    Every method is called by all processes at the same place. They agree on the CPU, so that no GPU waits.
    """

    rank: int = 0
    size: int = 1
    group: ProcessGroup | None = None
    """Of the CPU; None for one process alone."""
    sharded: bool = False
    """Whether each process holds a part of the model: then all of them run it, or none."""

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder and the terminal."""
        return self.rank == 0

    def any(self, fact: bool) -> bool:
        """Whether something is so in any process."""
        return self.greatest(int(fact)) > 0

    def greatest(self, number: int) -> int:
        """The greatest of the numbers that the processes have."""
        if self.group is None:
            return number
        table = torch.tensor(number, dtype=torch.int64)
        distributed.all_reduce(table, ReduceOp.MAX, group=self.group)
        return int(table)

    def mean(self, number: float) -> float:
        """The mean over the processes."""
        if self.group is None:
            return number
        table = torch.tensor(number, dtype=torch.float64)
        distributed.all_reduce(table, group=self.group)
        return float(table) / self.size

    def gathered(self, value: T) -> list[T]:
        """What each process has, in the order of the processes. It is pickled: data of this run only."""
        if self.group is None:
            return [value]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value, group=self.group)
        return found


ALONE = Team()


@dataclass(frozen=True)
class Order:
    """What the first process asks of the others: one run."""

    values: Mapping[str, Any]
    """The composed config."""
    folder: str
    """The run folder."""
    plugins: tuple[str, ...] = ()
    """Modules that register what the config names."""
    search_path: tuple[str, ...] = ()
    """Where the first process finds modules."""
