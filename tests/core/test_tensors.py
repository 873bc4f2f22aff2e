"""Shapes and dtypes that stand for tensors while a model is planned, with sizes that grow with the batch."""

from __future__ import annotations

import copy
import pickle

import pytest

from modelforge.core.tensors import (
    BATCH,
    BatchSize,
    TensorValue,
    at,
    compared,
    first,
    is_batch,
    leaves,
    plain,
    show,
    to_data,
)

IMAGE = TensorValue((BATCH, 3, 8, 8))
STEPS_FIRST = TensorValue((5, BATCH, 64), "int64")
LSTM = (IMAGE, (STEPS_FIRST, STEPS_FIRST))


def test_a_plain_size_is_no_batch_though_it_is_equal():
    assert BATCH == BatchSize.ROWS
    assert is_batch(BATCH)
    assert not is_batch(BatchSize.ROWS)
    assert not is_batch(BatchSize(2))


@pytest.mark.parametrize("size", [BATCH, BatchSize(2), BatchSize(3, -2)])
def test_a_size_keeps_its_formula_when_copied(size: BatchSize):
    for other in (copy.deepcopy(size), pickle.loads(pickle.dumps(size))):
        assert (other.factor, other.offset, str(other)) == (size.factor, size.offset, str(size))


@pytest.mark.parametrize(
    ("sizes", "text", "in_seven"), [((7, 7), "7", 7), ((5, 3), "B", 7), ((10, 6), "2·B", 14), ((9, 5), "2·B - 1", 13)]
)
def test_a_size_is_found_from_two_batches(sizes: tuple[int, int], text: str, in_seven: int):
    size = compared(*sizes, rows=(5, 3))
    assert str(size) == text
    assert TensorValue((size,)).of(7) == (in_seven,)


def test_the_shape_of_an_example_leaves_the_batch_out_where_it_comes_first():
    assert (IMAGE.example_shape, IMAGE.batch_axis, str(IMAGE)) == ((3, 8, 8), 0, "(3, 8, 8)")
    assert (STEPS_FIRST.example_shape, STEPS_FIRST.batch_axis) == ((5, "B", 64), 1)
    assert TensorValue((BATCH, BATCH)).batch_axis is None
    assert str(TensorValue((BATCH, 4))) == "(4,)"


def test_parts_of_a_value_are_found_by_their_index_path():
    assert first(LSTM) == (0,)
    assert first(((IMAGE,), None)) == (0, 0)
    assert first(IMAGE) == ()
    assert at(LSTM, (1, 0)) is STEPS_FIRST
    with pytest.raises(IndexError):
        at(LSTM, (2,))
    with pytest.raises(TypeError):
        at(IMAGE, (0,))


def test_a_value_is_shown_and_printed_as_data():
    assert list(leaves((LSTM, None))) == [IMAGE, STEPS_FIRST, STEPS_FIRST]
    assert show((IMAGE, (STEPS_FIRST, None))) == "((3, 8, 8), ((5, B, 64), nothing))"
    assert to_data((STEPS_FIRST, None)) == [{"shape": [5, "B", 64], "dtype": "int64"}, None]
    assert plain({"a": 1}) == {"a": 1}
    assert plain((1, (2, "x"))) == [1, [2, "x"]]
