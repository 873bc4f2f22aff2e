"""Numbers on the scale of the training part."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.train.data.scale import Numbers, Scale, Scaled, as_float32, constant, scaled, side_by_side
from modelforge.train.data.store import MEMORY

PARTS = (np.arange(6), np.arange(6, 8), np.arange(8, 10))
VALUES = np.random.default_rng(0).normal(size=(10, 3)) * [1, 1e200, 1e-200]


def test_the_scale_is_that_of_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing", reason="the extra `train`")
    values = VALUES[:, :1] * 7 + 3
    expected = preprocessing.StandardScaler().fit(values)
    scale = Scale.of(values)
    assert scale.mean == pytest.approx(expected.mean_)
    assert scale.std == pytest.approx(expected.scale_)


def test_columns_side_by_side_are_the_columns_at_once():
    whole, lost = scaled(Numbers(VALUES, ("a", "b", "c")), PARTS, standardize=True)
    assert not lost
    blocks = [
        scaled(Numbers(VALUES[:, [place]], (name,)), PARTS, standardize=True)[0] for place, name in enumerate("abc")
    ]
    joined = side_by_side(blocks, MEMORY)
    assert joined.described() == whole.described()
    assert all(np.array_equal(one, other) for one, other in zip(joined.parts, whole.parts, strict=True))
    assert joined.names == ("a", "b", "c")


def test_constant_columns_keep_their_places():
    blocks = [
        Scaled(names, "features", (np.zeros((2, 2)),), None, fixed)
        for names, fixed in ((("a", "b"), (1,)), (("c", "d"), (0,)))
    ]
    (warning,) = constant(side_by_side(blocks, MEMORY), "it")
    assert warning.message == "2 columns, `b` and `c`, of it have the same value in all training examples"


def test_the_scale_that_is_kept_gives_the_same_numbers():
    found, _ = scaled(Numbers(VALUES, ("a", "b", "c")), PARTS, standardize=True)
    again = Scale.restored(found.described())
    assert np.array_equal(as_float32(VALUES[PARTS[2]], again), found.parts[2])
    assert Scale.restored({"mean": None, "std": None}) is None
    assert np.array_equal(Scale.identity((3,))(VALUES), VALUES)


def test_the_row_of_a_lost_number_is_named_in_any_part():
    values = np.ones((10, 1)) * np.arange(10)[:, None]
    values[9] = 1e300
    _, (problem,) = scaled(Numbers(values, ("a",), place=lambda row: f"line {row + 2}"), PARTS, standardize=True)
    assert problem.message == "column `a` has 1e+300 in line 11, which is more than float32 holds"
