"""The digits: disjoint, stratified, the same every time, and shuffled by (seed, epoch) alone."""

from __future__ import annotations

import pytest
import torch

from modelforge.train.data import Shuffle, load, split_digits
from modelforge.train.settings import DataSettings


def settings(**fields) -> DataSettings:
    raw = {"type": "digits", "num_classes": 10, "input": {"shape": [1, 8, 8]}, **fields}
    return DataSettings.model_validate(raw)


def test_the_parts_are_disjoint_and_cover_everything():
    train, val, test = (set(part) for part in split_digits(settings()).indices)
    assert not train & val
    assert not train & test
    assert not val & test
    assert train | val | test == set(range(1797))


def test_the_split_is_a_function_of_its_seed():
    first, again, other = (split_digits(settings(split_seed=seed)).indices for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_every_class_has_its_share_in_every_part():
    split = split_digits(settings())
    shares = [torch.bincount(labels) / len(labels) for _, labels in (split.train, split.val, split.test)]
    for share in shares[1:]:
        assert (share - shares[0]).abs().max() < 2 / 270  # a class is off by one example at most, twice rounded


@pytest.mark.parametrize(("val", "test"), [(10, 10), (10, 1777), (1777, 10), (888, 899)])
def test_the_smallest_parts_still_hold_every_class(val: int, test: int):
    split = split_digits(settings(val_fraction=val / 1797, test_fraction=test / 1797))
    parts = (split.train, split.val, split.test)
    assert [len(labels) for _, labels in parts] == [1797 - val - test, val, test]
    assert all(len(labels.unique()) == 10 for _, labels in parts)


def test_pixels_lie_around_zero_in_a_range_of_one():
    inputs, _ = split_digits(settings()).train
    assert abs(inputs.double().mean().item()) < 1e-7
    assert inputs.max() - inputs.min() == pytest.approx(1, abs=1e-6)


def test_rows_are_the_same_images():
    images, rows = split_digits(settings()), split_digits(settings(input={"shape": [8, 8]}))
    assert torch.equal(images.test[0].squeeze(1), rows.test[0])


def test_an_epoch_sees_every_example_once_in_its_own_order():
    order = Shuffle(100, seed=1)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    order.set_epoch(0)
    assert sorted(first) == sorted(second) == list(range(100))
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
    first, second = load(settings(), 0), load(settings(), 1)
    assert not torch.equal(next(iter(first.train))[1], next(iter(second.train))[1])
    assert torch.equal(next(iter(first.test))[0], next(iter(second.test))[0])
    assert len(first.train) == 20
