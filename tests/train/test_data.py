"""The digits: disjoint, stratified, the same every time, and shuffled by (seed, epoch) alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.datasets import load_digits

from modelforge.train.data.batches import Shuffle
from modelforge.train.data.digits import Digits
from modelforge.train.data.module import DataModule
from modelforge.train.data.split import split

PIXELS, LABELS = load_digits(return_X_y=True)
TOKENS = {"input": {"shape": [64], "dtype": "int64"}, "vocab_size": 17}


def digits(**fields) -> Digits:
    raw = {"type": "digits", "task": "classification", "num_classes": 10, "num_outputs": 10}
    return Digits.model_validate({**raw, "input": {"shape": [1, 8, 8]}, **fields})


def test_the_parts_are_disjoint_and_cover_everything():
    train, val, test = (set(part.tolist()) for part in split(digits(), 1797, LABELS))
    assert not train & val
    assert not train & test
    assert not val & test
    assert train | val | test == set(range(1797))


def test_the_split_is_a_function_of_its_seed():
    first, again, other = (split(digits(split_seed=seed), 1797, LABELS)[0].tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_every_class_has_its_share_in_every_part():
    examples = digits().read()
    parts = (examples.train, examples.val, examples.test)
    shares = [np.bincount(part.targets) / len(part) for part in parts]
    for share in shares[1:]:
        assert abs(share - shares[0]).max() < 1 / 270 + 1 / 1257  # a class is off by less than one example in each


@pytest.mark.parametrize(("val", "test"), [(10, 10), (10, 1777), (1777, 10), (888, 899)])
def test_the_smallest_parts_hold_their_share_or_say_what_they_lack(val: int, test: int):
    examples = digits(val_fraction=val / 1797, test_fraction=test / 1797).read()
    parts = (examples.train, examples.val, examples.test)
    assert [len(part) for part in parts] == [1797 - val - test, val, test]
    lacking = {label for label in range(10) if any(label not in part.targets for part in parts)}
    assert lacking == {int(warning.message.split("`")[1]) for warning in examples.warnings}


def test_pixels_lie_around_zero_in_a_range_of_one():
    inputs = digits().read().train.inputs
    assert abs(inputs.astype(np.float64).mean()) < 1e-7
    assert inputs.max() - inputs.min() == pytest.approx(1, abs=1e-6)


def test_rows_are_the_same_images():
    images, rows = digits().read(), digits(input={"shape": [8, 8]}).read()
    assert np.array_equal(images.test.inputs[:, 0], rows.test.inputs)


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
    examples = digits().read()
    first, second = (DataModule(digits(), examples, seed) for seed in (0, 1))
    assert not torch.equal(next(iter(first.train_dataloader()))[1], next(iter(second.train_dataloader()))[1])
    assert torch.equal(next(iter(first.test_dataloader()))[0], next(iter(second.test_dataloader()))[0])
    assert len(first.train_dataloader()) == 20


def test_workers_bring_the_same_batches():
    alone, helped = digits(), digits(num_workers=1)
    one, two = (next(iter(DataModule(source, source.read(), 0).val_dataloader())) for source in (alone, helped))
    assert all(torch.equal(left, right) for left, right in zip(one, two, strict=True))


def test_pixels_as_tokens():
    source = digits(**TOKENS)
    train = source.read().train
    assert train.inputs.dtype == np.int64
    assert np.array_equal(train.inputs, PIXELS[split(source, 1797, LABELS)[0]])
    assert (train.inputs.min(), train.inputs.max()) == (0, 16)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocab_size": 17}, "`vocab_size` must be null where pixels are numbers, but is 17"),
        (TOKENS | {"vocab_size": None}, "`vocab_size` must be 17, the grey levels of a pixel, but is null"),
        (TOKENS | {"task": "autoencoding"}, "pixels that are made again are numbers: `dtype` must be 'float32'"),
    ],
)
def test_pixels_are_tokens_or_numbers(fields, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        digits(**fields)
