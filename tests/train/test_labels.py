"""Labels → classes: what is no class is told, with its row."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.train.data.labels import encode


@pytest.mark.parametrize(
    ("labels", "says", "way"),
    [
        ([0.0, np.nan, 1.0], "row 1 of the target of it has nan", "leave such rows out"),
        ([0.0, 1.0, np.inf], "row 2 of the target of it has inf", "leave such rows out"),
        ([0.0, 1.0, 0.5], "row 2 of the target of it has 0.5", "data.task=regression"),
        ([1, 1, 1], "all examples of it are of one class", "bring examples of others"),
        (["a", "a"], "all examples of it are of one class", "bring examples of others"),
    ],
)
def test_what_is_no_class(labels, says, way):
    _, (problem,) = encode(np.array(labels), 2, "it")
    assert says in problem.message
    assert way in problem.hint


def test_whole_numbers_and_names_are_classes():
    for labels in ([0, 1, 0], [0.0, 1.0, 0.0], ["0", "1", "0"], ["no", "yes", "no"], [False, True, False]):
        classes, problems = encode(np.array(labels), 2, "it")
        assert classes.tolist() == [0, 1, 0]
        assert not problems
