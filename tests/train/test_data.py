"""The digits: disjoint, stratified, the same every time, and shuffled by (seed, epoch) alone."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.datasets import load_digits

from modelforge.train.data.batches import Shuffle
from modelforge.train.data.module import DataModule
from modelforge.train.data.sources.digits import Digits
from modelforge.train.data.split import missing, rounded, split

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


@st.composite
def tables(draw):
    """Sizes of classes, and of three parts of the whole."""
    counts = draw(st.lists(st.integers(1, 60) | st.integers(1, 3), min_size=1, max_size=12))
    total = sum(counts)
    val = draw(st.integers(0, total))
    return counts, (total - val - (test := draw(st.integers(0, total - val))), val, test)


@given(tables(), st.integers(0, 2**64))
def test_every_class_is_in_every_part_by_its_share_rounded_up_or_down(table, seed: int):
    counts, sizes = table
    shares = rounded(np.array(counts), sizes, np.random.default_rng(seed))
    assert shares.sum(1).tolist() == counts
    assert shares.sum(0).tolist() == list(sizes)
    assert (abs(shares * sum(sizes) - np.multiply.outer(counts, sizes)) < sum(sizes)).all()


@pytest.mark.parametrize("counts", [[18, 2], [1, 1, 1, 17], [5, 5, 5, 5]])
def test_over_the_seeds_a_part_gets_the_share_of_a_class_on_average(counts: list[int]):
    number, sizes = 4000, (14, 3, 3)
    mean = np.mean([rounded(np.array(counts), sizes, np.random.default_rng(seed)) for seed in range(number)], axis=0)
    # a part gets one more or not, so that its variance is 1/4 at most; five times the standard error
    assert abs(mean - np.multiply.outer(counts, sizes) / 20).max() < 5 * 0.5 / np.sqrt(number)


@pytest.mark.parametrize("sizes", [[3000, 7000], [190, 10], [50, 50, 50], [18, 2], [1, 1, 1, 60], [3, 1]])
def test_a_split_takes_the_rows_of_a_class_by_its_share(sizes: list[int]):
    size = sum(sizes)
    labels = np.random.default_rng(0).permutation(np.repeat(range(len(sizes)), sizes))
    for seed in range(10):
        parts = split(digits(val_fraction=0.25, test_fraction=0.25, split_seed=seed), size, labels)
        assert sorted(np.concatenate(parts)) == list(range(size))
        for part in parts:
            held = np.bincount(labels[part], minlength=len(sizes))
            assert (abs(held - np.array(sizes) * len(part) / size) < 1).all()


def test_labels_of_any_number_of_classes_are_split_fast():
    labels = np.arange(20_000) // 2
    started = time.process_time()
    parts = split(digits(), 20_000, labels)
    assert time.process_time() - started < 10
    assert [len(part) for part in parts] == [14_000, 3_000, 3_000]


def test_of_many_missing_classes_only_some_are_named():
    labels = np.arange(20) // 2
    parts = split(digits(), 20, labels)
    warnings = list(missing(labels, parts, list("abcdefghij"), "it"))
    assert len(warnings) == 6
    assert {warning.code for warning in warnings} == {"MW202"}
    assert warnings[-1].message == "5 more of it are missing from a part"


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


@pytest.mark.parametrize("shape", [[4, 16], [2, 32], [2, 2, 2, 8], [9, 8], [8], []])
def test_a_shape_that_is_not_that_of_a_digit(shape: list[int]):
    must = "`shape` must be [8, 8] or [64], with ones where they are needed"
    with pytest.raises(ValidationError, match=re.escape(f"an image of digits has 8 x 8 pixels: {must}, not {shape}")):
        digits(input={"shape": shape})


@pytest.mark.parametrize("shape", [[64], [64, 1], [8, 8], [1, 8, 8], [8, 8, 1]])
def test_shapes_of_a_digit(shape: list[int]):
    assert digits(input={"shape": shape}).read().train.inputs.shape == (1257, *shape)
