"""Inputs that are in the training part and in another: how many, where, and what is not compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.data.pictures import Pictures
from modelforge.train.data.shared import CHUNK, shared
from modelforge.train.data.sources.text import Windows


def examples(*parts: Any, rows: dict[str, Any] | None = None) -> Examples:
    made = [Arrays(part, np.zeros(len(part), np.int64)) if isinstance(part, np.ndarray) else part for part in parts]
    return Examples.of(made, fitted={} if rows is None else {"rows": {k: np.array(v) for k, v in rows.items()}})


def messages(*parts: Any, rows: dict[str, Any] | None = None) -> list[str]:
    return [problem.message for problem in shared(examples(*parts, rows=rows))]


def test_equal_rows_are_counted_and_named():
    train = np.arange(40, dtype=np.float32).reshape(20, 2)
    test = np.concatenate([train[[3, 3, 7]], train + 100, train[[1, 2]]])
    val_says, test_says = messages(train, train[4:5], test)
    assert val_says == "1 of 1 validation example has the inputs of a training example: example 1 those of example 5"
    assert test_says == (
        "5 of 25 test examples have the inputs of a training example: example 1 those of example 4, "
        "example 2 those of example 4, example 3 those of example 8, and 2 more"
    )


def test_rows_of_a_file_are_named_as_they_are_counted_there():
    train = np.arange(6, dtype=np.int64).reshape(3, 2)
    rows = {"train": [0, 4, 9], "val": [1], "test": [5]}
    [said] = messages(train, train[:1] + 100, train[1:2], rows=rows)
    assert said.endswith("row 6 those of row 5")


@pytest.mark.parametrize("shape", [(1,), (3,), (5, 7), (2, 4, 4), ()])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_only_equal_examples_are_found(shape: tuple[int, ...], dtype: str):
    values = np.arange(3 * CHUNK // 2 * int(np.prod(shape)) or 1)
    every = (values % 251 if dtype == "uint8" else values).astype(dtype).reshape(-1, *shape)
    every = np.unique(every, axis=0) if dtype == "uint8" else every
    half = len(every) // 2
    assert not messages(every[:half], every[half : half + 9], every[half + 9 :])
    [said] = messages(every[:half], every[half : half + 9], every[half - 1 :])
    assert said.startswith("1 of ")


def test_every_input_counts():
    ids = np.array([[1], [2]])
    train = Arrays((np.ones((2, 3)), ids), np.zeros(2))
    other = Arrays((np.ones((2, 3)), ids + 2), np.zeros(2))
    assert not messages(train, other, other)
    assert len(messages(train, other, train)) == 1


def test_pictures_in_memory_are_compared_and_what_is_read_later_is_not():
    levels = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 4)).astype(np.uint8)
    scale = np.zeros((1, 1, 1), np.float32)
    pictures = Pictures(levels, np.zeros(6, np.int64), scale, scale + 1)
    train, val, test = (pictures.part(np.array(rows)) for rows in ([0, 1, 2], [3], [4, 1]))
    assert messages(train, val, test) == [
        "1 of 2 test examples has the inputs of a training example: example 2 those of example 2"
    ]
    windows = Windows(np.zeros(40, np.int64), 4)
    assert not messages(windows, windows, windows)


def test_parts_of_other_forms_are_not_compared():
    assert not messages(np.ones((3, 2), np.float32), np.ones((3, 2)), np.ones((3, 1), np.float32))
