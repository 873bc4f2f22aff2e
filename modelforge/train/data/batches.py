"""Parts of examples for torch: a whole batch at once, in a new order each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler

from modelforge.core.rng import narrow
from modelforge.core.tensors import mapped
from modelforge.train.data.parts import Array, Part, Rows

Inputs = Tensor | tuple[Tensor, ...]
"""What a model with one input reads, or a model with several, in their order."""
Batch = tuple[Inputs, Tensor]
BLOCK = 10_000
"""Examples that are numbered at once."""


@runtime_checkable
class Varying(Protocol):
    """A part whose examples differ from epoch to epoch."""

    def varied(self, rows: Rows, keys: Sequence[tuple[int, ...]]) -> tuple[Any, Array]:
        """A batch; each example is a function of its row and its key."""
        ...


class Batched(Dataset[Batch]):
    """A part that hands out a whole batch at once: one index instead of a stack of rows.

    Args:
        part: The examples; index `epoch * len(part) + row` is a row as it is in an epoch.
        seed: Keys what differs between epochs.
    """

    def __init__(self, part: Part, seed: int = 0) -> None:
        self.part = part
        self.seed = seed

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> Batch:
        inputs, targets = self.__getitems__([index])
        return mapped(lambda part: part[0], inputs), targets[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        epochs, rows = np.divmod(np.asarray(indices, np.int64), len(self.part))
        if isinstance(self.part, Varying):
            keys = [(self.seed, epoch, row) for epoch, row in zip(epochs.tolist(), rows.tolist(), strict=True)]
            inputs, targets = self.part.varied(rows, keys)
        else:
            inputs, targets = self.part.batch(rows)
        return mapped(_tensor, inputs), _tensor(targets)


def _tensor(array: Array) -> Tensor:
    """An array as a tensor on the same memory, where its order allows that: torch has no negative strides."""
    return torch.from_numpy(np.ascontiguousarray(array))


def read_by(model: nn.Module, inputs: Inputs) -> Any:
    """The outputs of a model for the inputs of a batch, whose real numbers are converted to the model's dtype."""
    dtype = next((weight.dtype for weight in model.parameters() if weight.is_floating_point()), None)
    given = (inputs,) if isinstance(inputs, Tensor) else inputs
    return model(*(one.to(dtype) if dtype is not None and one.is_floating_point() else one for one in given))


class Shuffle(Sampler[int]):
    """A new order each epoch, a function of `(seed, epoch)`: a resumed run has the same order as an uninterrupted one.

    Gives indices of `Batched`, which hold the epoch.

    Args:
        size: Number of examples.
        seed: Key of the orders.
        skip: An epoch, and how many examples to leave out at its beginning: an interrupted run has seen them.

    Lightning calls `set_epoch`.
    """

    def __init__(self, size: int, seed: int, skip: tuple[int, int] = (0, 0)) -> None:
        self.size = size
        self.seed = seed
        self.skip = skip
        self.epoch = skip[0]

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of the next pass."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((narrow(self.seed), self.epoch)).permutation(self.size) + self.epoch * self.size
        for first in range(self.skip[1] if self.epoch == self.skip[0] else 0, self.size, BLOCK):
            yield from order[first : first + BLOCK].tolist()  # Python's numbers take five times the memory of NumPy's

    def __len__(self) -> int:
        return self.size
