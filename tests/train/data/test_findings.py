"""What a table that cannot be read needs: one line with all settings."""

from __future__ import annotations

import pyarrow as pa
import pytest

from modelforge.train.data.arrow import numbers
from modelforge.train.data.features import Feature
from modelforge.train.data.findings import way_out
from modelforge.train.data.refusals import fault, settings, together
from tests.train.tables import csv


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b"] * 9, ("categorical", "x")),
        ([f"person {row}" for row in range(18)], ("ignore", "x")),
        (["2026-01-31", None] * 9, ("dates", "x", "iso")),
        (["1", "2", "x"] * 6, ()),  # a mistake in a column of numbers
        ([[1], [2]] * 9, ("ignore", "x")),
    ],
    ids=range(5),
)
def test_the_way_out_of_a_column_that_holds_no_numbers(values, expected):
    column = pa.chunked_array([values])
    assert way_out(csv(), Feature("x"), column, numbers(column, ())) == expected


def test_of_two_settings_of_one_key_the_later_counts():
    problems = [
        fault("features", "one", "fill it in: `'data.impute={a: median}'`"),
        fault("num_features", "two", "write `'data.impute={a: median, b: drop}' data.num_features=3`"),
        fault("target", "three", "ask"),
    ]
    assert settings(problems) == ["'data.impute={a: median, b: drop}'", "data.num_features=3"]
    assert [problem.hint for problem in together(problems)] == [
        "write `'data.impute={a: median, b: drop}' data.num_features=3`"
    ] * 2 + ["ask"]
