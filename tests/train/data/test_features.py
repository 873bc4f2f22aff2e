"""Columns as numbers: filled in, one-hot, or as parts of dates."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

import modelforge as mf
from modelforge.train.data.features import Feature, fitted

ROWS = np.arange(6)
AGES = np.array([3.0, 1.0, np.nan, 1.0, 9.0, 5.0])
PORTS = pa.chunked_array([["S", "C", None, "C", "Q", "10"]])


@pytest.mark.parametrize(
    ("fill", "expected"), [("mean", 3.5), ("median", 2), ("most_frequent", 1), (-1, -1), ("error", None)]
)
def test_numbers_are_filled_in_by_the_training_part(fill, expected):
    assert fitted(Feature("age"), AGES, ROWS[:5], fill).fill == expected
    values = fitted(Feature("age"), AGES, ROWS[:5], fill).numbers(AGES)[:, 0]
    assert np.array_equal(values, np.where(np.isnan(AGES), np.nan if expected is None else expected, AGES), True)


@pytest.mark.parametrize(("fill", "expected"), [("most_frequent", "C"), ("none", "none"), (0, "0"), ("error", None)])
def test_categories_are_those_of_the_training_part(fill, expected):
    feature = fitted(Feature("port", "category"), PORTS, ROWS[:5], fill)
    assert feature.fill == expected
    assert feature.categories == tuple(sorted({"S", "C", "Q"} | ({expected} if expected else set())))
    one_hot = feature.numbers(PORTS)
    assert one_hot[[0, 1, 3, 4, 5]].sum(1).tolist() == [1, 1, 1, 1, 0]  # the last is new
    assert one_hot[2].sum() == (expected is not None)
    assert feature.names == tuple(f"port={name}" for name in feature.categories)


def test_categories_that_are_numbers_are_in_their_order():
    column = pa.chunked_array([["10", "2", "1"]])
    assert fitted(Feature("floor", "ids"), column, ROWS[:3], "error").categories == ("1", "2", "10")


def test_parts_of_dates():
    parts = ("year", "month", "day", "weekday", "yearday", "hour", "minute", "elapsed")
    feature = Feature("when", "date", parts=parts)
    days = np.array([18_321 + 13.5 / 24, np.nan])  # Saturday, the 29th of February 2020, 13:30
    assert feature.numbers(days)[0].tolist() == [2020, 2, 29, 5, 60, 13, 30, days[0]]
    assert np.isnan(feature.numbers(days)[1]).all()
    assert feature.names[:2] == ("when.year", "when.month")
    filled = fitted(feature, days, ROWS[:2], "1970-01-02")
    assert filled.numbers(days)[1].tolist() == [1970, 1, 2, 4, 2, 0, 0, 1]
    assert fitted(feature, days, ROWS[:2], "median").fill == days[0]


@pytest.mark.parametrize("feature", [Feature("age"), Feature("port", "category"), Feature("when", "date")])
@pytest.mark.parametrize("fill", ["mean", "median", "most_frequent"])
def test_a_column_without_values_has_no_statistic(feature: Feature, fill: str):
    nothing = pa.chunked_array([pa.nulls(2, pa.string())]) if feature.kind == "category" else np.full(2, np.nan)
    if feature.kind == "category" and fill != "most_frequent":
        return
    with pytest.raises(mf.ForgeError, match=f"has no value in any row to train on, so that it has no {fill}"):
        fitted(feature, nothing, ROWS[:2], fill)


@pytest.mark.parametrize(
    "feature",
    [Feature("age", fill=2.5), Feature("port", "ids", categories=("a", "b")), Feature("when", "date", parts=("day",))],
)
def test_a_feature_is_plain_data_and_back(feature: Feature):
    assert Feature.restored(json.loads(json.dumps(feature.described()))) == feature
