"""Which part of a batch a Jacobian is of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelforge.signal.blocks import blocks


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sizes(model: nn.Module, batch: Any, entry: str | None = None) -> list[tuple[list[int], int]]:
    """Of each block the sizes of its inputs, and of its output."""
    found = [function(None) for function in blocks(model, batch, entry, seed=0)]
    return [([value.numel() for value in inputs], output.numel()) for inputs, output in found]


def test_each_of_the_first_examples_is_a_block():
    assert sizes(nn.Linear(3, 2), normal(9, 3)) == [([3], 2)] * 4
    assert sizes(nn.Linear(3, 2), normal(2, 3)) == [([3], 2)] * 2
    assert sizes(nn.Linear(3, 600), normal(9, 3)) == [([3], 600)]
    assert sizes(nn.Linear(3, 2), normal(3)) == [([3], 2)]


def test_a_block_is_of_its_own_example():
    batch = normal(3, 2)
    seen = [function(None) for function in blocks(nn.Tanh(), batch, None, seed=0)]
    for row, (inputs, output) in zip(batch, seen, strict=True):
        assert torch.equal(inputs[0][0], row)
        assert torch.equal(output[0], row.tanh())


def test_all_inputs_belong_to_it():
    net = nn.Bilinear(3, 4, 2)
    assert sizes(net, (normal(5, 3), normal(5, 4))) == [([3, 4], 2)] * 4
    # Where an input is not of the batch's size, examples share it.
    assert sizes(nn.MultiheadAttention(4, 2), (normal(5, 2, 4),) * 3) == [([40, 40, 40], 40)]


class Mixing(nn.Module):
    """Examples that see one another, in one direction or through what sums to zero."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "earlier":
            return x.cumsum(0)
        if self.kind == "later":
            return x.flip(0).cumsum(0)
        return x - x.mean(0)


@pytest.mark.parametrize("kind", ["earlier", "later", "mean"])
def test_examples_that_see_one_another_are_one_block(kind):
    assert sizes(Mixing(kind), normal(5, 3)) == [([15], 15)]


def test_integers_enter_where_they_become_numbers():
    net = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))
    ids = torch.arange(6).view(2, 3)
    assert sizes(net, ids, "0") == [([12], 2)] * 2
    assert sizes(net, ids, None) == []
    assert not net[0]._forward_hooks


def test_the_same_numbers_are_drawn_in_every_run():
    (function, *_) = blocks(nn.Dropout(0.5), normal(4, 64), None, seed=3)
    assert torch.equal(function(None)[1], function(None)[1])


class Scaled(nn.Module):
    """A layer times the sum of a table, or of whole numbers of each example."""

    def __init__(self, *, of_examples: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.of_examples = of_examples

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        return self.layer(x) * (table.sum(-1, keepdim=True) if self.of_examples else table.sum())


@pytest.mark.parametrize(("of_examples", "rows"), [(False, 2), (False, 4), (True, 4)])
def test_a_table_of_the_batchs_size_stays_whole(of_examples, rows):
    net, batch = Scaled(of_examples=of_examples), (normal(4, 3), torch.arange(8).view(rows, 8 // rows))
    outputs = [function(None)[1] for function in blocks(net, batch, None, seed=0)]
    assert torch.allclose(torch.cat(outputs), net(*batch))
