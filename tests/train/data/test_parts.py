"""The three parts of the examples, each read a batch at a time."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.core.errors import Problem
from modelforge.train.data.parts import Arrays, Examples

ROWS = np.array([2, 0])


def test_a_batch_has_the_rows_that_were_asked_for():
    part = Arrays(np.arange(6.0).reshape(3, 2), np.array([5, 6, 7]))
    inputs, targets = part.batch(ROWS)
    assert isinstance(inputs, np.ndarray)
    assert (inputs.tolist(), targets.tolist(), len(part)) == ([[4.0, 5.0], [0.0, 1.0]], [7, 5], 3)


def test_several_inputs_are_taken_together():
    part = Arrays((np.arange(3), np.arange(3) * 10), np.arange(3))
    inputs, targets = part.batch(ROWS)
    assert isinstance(inputs, tuple)
    assert [array.tolist() for array in inputs] == [[2, 0], [20, 0]]
    assert targets.tolist() == [2, 0]


def test_examples_are_exactly_three_parts():
    parts = [Arrays(np.zeros(size), np.zeros(size)) for size in (3, 2, 1)]
    warning = Problem("MW202", "data", "few", severity="warning")
    found = Examples.of(parts, iter([warning]))
    assert [len(part) for part in (found.train, found.val, found.test)] == [3, 2, 1]
    assert (found.warnings, found.fitted, found.text) == ((warning,), {}, None)
    with pytest.raises(ValueError, match="to unpack"):
        Examples.of(parts[:2])
