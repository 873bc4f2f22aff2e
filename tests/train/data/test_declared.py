"""Arrays as a section declares them: nothing is lost by a conversion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from modelforge.core.errors import Refusal
from modelforge.train.data.declared import as_array, as_input, as_targets, as_type
from tests.train.data.test_adapters import own
from tests.train.tables import reverse


@pytest.mark.parametrize(
    ("given", "dtype", "right"),
    [
        ([0.0, 2.0], np.int64, [0, 2]),
        ([True, False], np.float32, [1, 0]),
        ([2**53 + 1], np.int64, [2**53 + 1]),
        ([1, 2], np.float32, [1, 2]),
    ],
)
def test_numbers_keep_their_values(given: list[Any], dtype: Any, right: list[Any]):
    found = as_type(np.array(given), dtype, "x")
    assert found.dtype == dtype
    assert found.tolist() == right


@pytest.mark.parametrize(
    ("given", "dtype", "message"),
    [
        ([0.0, 0.5], np.int64, "x must hold whole numbers, but has 0.5 in row 2"),
        ([np.nan], np.int64, "x must hold whole numbers, but has nan in row 1"),
        ([[1.0], [np.inf]], np.float32, "x must hold finite numbers of float32, but has inf in row 2"),
        ([1e300], np.float32, "x must hold finite numbers of float32, but has 1e+300 in row 1"),
        (np.float32([np.nan]), np.float32, "x must hold finite numbers of float32, but has nan in row 1"),
        (["a"], np.float32, "x must hold numbers, but holds <U1"),
        ([1j], np.float32, "x must hold numbers, but holds complex128"),
        ([2**64 - 1], np.int64, "x must hold whole numbers, but has 1.84467e+19 in row 1"),
    ],
)
def test_what_a_dtype_cannot_hold_is_refused(given: Any, dtype: Any, message: str):
    with pytest.raises(Refusal) as caught:
        as_type(np.array(given), dtype, "x")
    assert str(caught.value) == message


def test_tensors_and_lists_are_arrays_and_ragged_lists_are_none():
    assert as_array(torch.ones(2, requires_grad=True), "x").tolist() == [1, 1]
    with pytest.raises(Refusal, match="x cannot be read as an array"):
        as_array([[1], [1, 2]], "x")


def test_tokens_lie_in_the_vocabulary():
    source = reverse()
    assert as_input([[0.0, 4.0]], "int64", source.token_bound, "x").tolist() == [[0, 4]]
    for token in (-1, 5):
        with pytest.raises(Refusal, match=f"x must hold tokens from 0 to 4, but has {token} in row 1"):
            as_input([[token]], "int64", 5, "x")


@pytest.mark.parametrize(
    ("task", "num_outputs", "targets", "message"),
    [
        ("classification", 3, [0, 3], "the target must hold classes from 0 to 2, but has 3 in row 2"),
        ("classification", 3, [0, -1], "the target must hold classes from 0 to 2, but has -1 in row 2"),
        ("classification", 3, [0.5, 1], "the target must hold whole numbers, but has 0.5 in row 1"),
        ("classification", 3, [[0, 1, 0]], "the target must have shape (examples), but has (1, 3)"),
        ("multilabel_classification", 2, [[0, 1], [1, 0.5]], "a label is 0 or 1, but the target has 0.5 in row 2"),
        ("language_modelling", 3, [0, 2, -1, 3], "the target must hold tokens below 3, but has 3 in row 4"),
        ("regression", 2, [1.0, 2.0], "the target must have shape (examples, 2), but has (2,)"),
        ("regression", 1, [[1.0, 2.0]], "the target must have shape (examples, 1), but has (1, 2)"),
        ("regression", 1, [np.nan], "the target must hold finite numbers of float32, but has nan in row 1"),
    ],
)
def test_targets_that_the_task_cannot_take_are_refused(task: str, num_outputs: int, targets: Any, message: str):
    with pytest.raises(Refusal) as caught:
        as_targets(targets, own(task=task, num_outputs=num_outputs))
    assert str(caught.value) == message


def test_one_number_is_a_column():
    found = as_targets([1, 2], own(task="regression", num_outputs=1))
    assert (found.shape, found.dtype) == ((2, 1), np.float32)
