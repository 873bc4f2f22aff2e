"""`World`: the processes of one training, and the values that they agree on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed import ProcessGroup, ReduceOp

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The process group of a training, as one process sees it; by default, a process on its own.

    Each method is a collective: all processes call it at the same point. It runs on the CPU, so that no GPU waits.
    """

    rank: int = 0
    size: int = 1
    group: ProcessGroup | None = None
    """Of the CPU; None for one process alone."""
    sharded: bool = False
    """Whether each process holds a part of the model: then all of them run it, or none."""

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process writes the run folder and the terminal."""
        return self.rank == 0

    def any(self, fact: bool) -> bool:
        """Whether something is so in any process."""
        return self.max(int(fact)) > 0

    def max(self, number: int) -> int:
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

    def gather(self, value: T) -> list[T]:
        """What each process has, in the order of the processes. It is pickled: data of this run only."""
        if self.group is None:
            return [value]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value, group=self.group)
        return found

    def states(self, state: Tensor, group: ProcessGroup | None = None) -> list[Tensor]:
        """What each process has of a metric's state, as torchmetrics asks for it.

        One that counted nothing may have a state of another shape or dtype, which collectives of tensors do not allow.
        """
        each = [one.to(state.device) for one in self.gather(state.detach().cpu())]
        counted = [one for one in each if one.numel()] or each
        return [*torch.broadcast_tensors(*counted)] if any(not one.ndim for one in counted) else counted


SINGLE_PROCESS = World()


@dataclass(frozen=True)
class RunSpec:
    """The run that all processes train, as rank 0 publishes it."""

    values: Mapping[str, Any]
    """The composed config."""
    folder: str
    """The run folder."""
    plugins: tuple[str, ...] = ()
    """Modules that register what the config names."""
    search_path: tuple[str, ...] = ()
    """`sys.path` of rank 0."""
