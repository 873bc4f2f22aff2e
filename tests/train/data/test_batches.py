"""Batches: shuffled by (seed, epoch) alone, resumed, and the same with workers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import modelforge as mf
from modelforge.train.data.batches import Batched, Shuffle
from modelforge.train.data.module import DataModule
from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.data.refusals import refusal
from tests.train.tables import digits


def test_an_epoch_sees_every_example_once_in_its_own_order():
    order = Shuffle(100, seed=1)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    order.set_epoch(0)
    assert sorted(first) == list(range(100))
    assert sorted(second) == list(range(100, 200))  # of epoch 1
    assert first != second
    assert first == list(order)


def test_a_resumed_epoch_leaves_out_what_was_seen():
    whole = Shuffle(100, seed=1)
    whole.set_epoch(2)
    rest = Shuffle(100, seed=1, skip=(2, 64))
    assert list(rest) == list(whole)[64:]
    rest.set_epoch(3)
    assert len(list(rest)) == 100


def test_only_the_training_loader_shuffles():
    examples = digits().read()
    first, second = (DataModule(digits(), examples, seed) for seed in (0, 1))
    assert not torch.equal(next(iter(first.train_dataloader()))[1], next(iter(second.train_dataloader()))[1])
    assert torch.equal(next(iter(first.test_dataloader()))[0], next(iter(second.test_dataloader()))[0])
    assert len(first.train_dataloader()) == 20


def test_workers_bring_the_same_batches():
    alone, helped = digits(), digits(num_workers=1)
    one, two = (next(iter(DataModule(source, source.read(), 0).val_dataloader())) for source in (alone, helped))
    assert all(torch.equal(left, right) for left, right in zip(one, two, strict=True))


class Backwards(Arrays):
    """A part of one's own whose batches are views in the other order."""

    def batch(self, rows):
        inputs, targets = super().batch(rows)
        return inputs[::-1], targets[::-1]


def test_a_part_may_give_views():
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    inputs, targets = Batched(Backwards(x, np.arange(3))).__getitems__([0, 2])
    assert (inputs.tolist(), targets.tolist()) == ([[4, 5], [0, 1]], [2, 0])


class Vanished:
    """A part whose files are gone."""

    def __len__(self) -> int:
        return 8

    def batch(self, rows):
        raise refusal("path", "`a.png` can no longer be read", "put it back, and resume the run")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_batch_that_cannot_be_made_is_a_problem_in_a_process_of_the_loader_too(num_workers: int):
    source = digits(num_workers=num_workers)
    module = DataModule(source, Examples(Vanished(), Vanished(), Vanished()), 0)
    (batch,) = module.test_dataloader()
    with pytest.raises(mf.ForgeError) as caught:
        module.on_before_batch_transfer(batch, 0)
    assert caught.value.problems[0].message == "`a.png` can no longer be read"
