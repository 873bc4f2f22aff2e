"""`DataSettings` → loaders for training, validation and test: seeded, stratified, and the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from modelforge.train.seeding import narrow
from modelforge.train.settings import DataSettings

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Split:
    """The examples in three disjoint parts, each with its labels; `indices` are those of the source."""

    train: Batch
    val: Batch
    test: Batch
    indices: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Loaders:
    """One loader for each part of a split."""

    train: DataLoader[Batch]
    val: DataLoader[Batch]
    test: DataLoader[Batch]


class Batched(Dataset[Batch]):
    """Tensors that hand out a whole batch at once: one index instead of a stack of rows."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs = inputs
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return self.inputs[index], self.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        rows = torch.as_tensor(indices)
        return self.inputs[rows], self.labels[rows]


class Shuffle(Sampler[int]):
    """A new order each epoch that depends on `(seed, epoch)` alone, so a resumed run sees what an unbroken one would.

    Args:
        size: Number of examples.
        seed: Key of the orders.
        skip: In this epoch, leave out so many examples at the beginning: they were seen before the break.

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
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size).tolist()
        return iter(order[self.skip[1] :] if self.epoch == self.skip[0] else order)

    def __len__(self) -> int:
        return self.size


def split_digits(settings: DataSettings) -> Split:
    """Scikit-learn's digits in three parts, every class in each by its share; pixels lie within a range of 1 around 0.

    The mean that is taken off is the training part's.

    Example:
        >>> settings = DataSettings.model_validate({"type": "digits", "num_classes": 10, "input": {"shape": [8, 8]}})
        >>> split = split_digits(settings)
        >>> [len(indices) for indices in split.indices], tuple(split.train[0].shape)
        ([1257, 270, 270], (1257, 8, 8))
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    size = len(labels)
    _, num_val, num_test = settings.num_examples
    seed = narrow(settings.split_seed)
    rest, test = train_test_split(np.arange(size), test_size=num_test, stratify=labels, random_state=seed)
    train, val = train_test_split(rest, test_size=num_val, stratify=labels[rest], random_state=seed)
    parts = [np.sort(part) for part in (train, val, test)]
    scaled = (pixels - pixels[parts[0]].mean()) / 16
    inputs = torch.tensor(scaled.reshape(size, *settings.input.shape), dtype=getattr(torch, settings.input.dtype))
    targets = torch.tensor(labels, dtype=torch.int64)
    batches = [(inputs[torch.from_numpy(part)], targets[torch.from_numpy(part)]) for part in parts]
    return Split(*batches, indices=(tuple(parts[0].tolist()), tuple(parts[1].tolist()), tuple(parts[2].tolist())))


def load(settings: DataSettings, seed: int, *, skip: tuple[int, int] = (0, 0)) -> Loaders:
    """The loaders of a run.

    Args:
        settings: The `data` section.
        seed: Decides the order of the training examples and nothing else.
        skip: An epoch and a number of batches: those were trained on before the run was broken off.
    """
    split = split_digits(settings)
    epoch, num_batches = skip
    order = Shuffle(len(split.train[1]), seed, (epoch, num_batches * settings.batch_size))
    return Loaders(_loader(split.train, settings, order), _loader(split.val, settings), _loader(split.test, settings))


def _loader(part: Batch, settings: DataSettings, order: Shuffle | None = None) -> DataLoader[Batch]:
    return DataLoader(
        Batched(*part),
        batch_size=settings.batch_size,
        sampler=order,
        num_workers=settings.num_workers,
        persistent_workers=settings.num_workers > 0,
        collate_fn=_as_is,
    )


def _as_is(batch: Any) -> Batch:
    """`Batched` has put the batch together already."""
    return batch
