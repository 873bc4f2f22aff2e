"""Three disjoint parts, each class in proportion, the same every time."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from modelforge.core.errors import ForgeError
from modelforge.train.data.split import missing, missing_labels, rounded, split
from tests.train.tables import csv, digits

pytestmark = pytest.mark.usefixtures("here")


def test_a_split_is_disjoint_seeded_and_stratified():
    labels = np.repeat([0, 1, 2], [100, 50, 7])
    parts = split(csv(), 157, labels)
    assert sorted(np.concatenate(parts)) == list(range(157))
    for part in parts:
        shares = np.bincount(labels[part]) / len(part)
        assert abs(shares - np.bincount(labels) / 157).max() < 1.5 / len(part)
    again, other = split(csv(), 157, labels), split(csv(split_seed=1), 157, labels)
    assert all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True))
    assert not np.array_equal(parts[0], other[0])


def test_a_class_of_one_example_does_no_harm():
    parts = split(csv(), 20, np.array([0] * 19 + [1]))
    assert [len(part) for part in parts] == [14, 3, 3]


PIXELS, LABELS = load_digits(return_X_y=True)


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
    assert warnings[-1].message == "5 more classes of it are missing from a part"


def test_a_label_that_no_example_of_a_part_has_is_named():
    """`everywhere` and `nowhere` say nothing of the split."""
    train = np.array([[1, 0, 1, 0], [1, 0, 0, 0]])
    val, test = np.array([[1, 1, 0, 0]]), np.array([[1, 0, 0, 0]])
    warnings = list(missing_labels((train, val, test), ("everywhere", "late", "early", "nowhere"), "it"))
    assert [warning.message for warning in warnings] == [
        "the label `late` has 1 example in it, none of them in the training and test parts",
        "the label `early` has 1 example in it, none of them in the validation and test parts",
    ]


def test_latest_rows_are_the_test_part():
    times = np.random.default_rng(0).permutation(100)
    train, val, test = split(csv(), 100, times=times)
    assert [len(part) for part in (train, val, test)] == [70, 15, 15]
    assert times[train].max() < times[val].min()
    assert times[val].max() < times[test].min()


def test_rows_of_one_time_stay_together():
    times = np.repeat(np.arange(10), 10)
    parts = split(csv(val_fraction=0.25, test_fraction=0.25), 100, times=times)
    assert [sorted({*times[part]}) for part in parts] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]
    with pytest.raises(ForgeError, match="no examples are left for train"):
        split(csv(), 100, times=np.zeros(100))


def test_a_group_comes_into_one_part():
    groups = np.random.default_rng(0).integers(0, 20, 400)
    for seed in range(5):
        parts = split(csv(split_seed=seed), 400, groups=groups)
        assert sorted(np.concatenate(parts)) == list(range(400))
        held = [{*groups[part].tolist()} for part in parts]
        assert [len(one) for one in held] == [14, 3, 3]
        assert len(held[0] | held[1] | held[2]) == 20
    first, again = (split(csv(split_seed=4), 400, groups=groups) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    few = np.arange(9) // 3
    assert [len({*few[part]}) for part in split(csv(val_fraction=0.2), 9, groups=few)] == [1, 1, 1]
    with pytest.raises(ForgeError, match="`group` has 2 values, and 3 parts need 3"):
        split(csv(), 400, groups=groups % 2)


@pytest.mark.parametrize(
    ("given", "sizes"), [([0, 0, 1, 2], [50, 25, 25]), ([0, 0, 0, 2], [64, 11, 25]), ([0, 0, 0, 1], [64, 25, 11])]
)
def test_parts_that_are_given_stay(given: list[int], sizes: list[int]):
    places = np.tile(given, 25)
    parts = split(csv(), 100, labels=np.arange(100) % 3, given=places)
    assert [len(part) for part in parts] == sizes
    assert sorted(np.concatenate(parts)) == list(range(100))
    for number in (1, 2):
        if number in given:
            assert np.array_equal(parts[number], np.flatnonzero(places == number))
