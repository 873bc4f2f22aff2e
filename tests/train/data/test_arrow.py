"""Columns of pyarrow as numbers, texts and instants, and what is none of them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

import modelforge as mf
from modelforge.train.data.arrow import as_table, columns_of, instants, list_of, numbers, places, texts

MISSING = ("", "na")


def column(values) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", " 2.5 ", "+3", "1e3", "-.5", "1."], [1, 2.5, 3, 1000, -0.5, 1]),
        (["true", "False", "TRUE"], [1, 0, 1]),
        ([True, False], [1, 0]),
        ([1, 2**60], [1, 2**60]),
        ([Decimal("1.5"), Decimal(2)], [1.5, 2]),
        ([np.float32(0.5), np.float32(2)], [0.5, 2]),
        (["9007199254740993"], [9007199254740992]),
    ],
    ids=repr,
)
def test_numbers(values, expected):
    found = numbers(column(values), MISSING)
    assert found.values.tolist() == expected
    assert not len(found.missing)
    assert not len(found.wrong)


@pytest.mark.parametrize(
    "values",
    [
        ["1_000"], ["0x10"], ["1e400"], ["inf"], ["\u0661"], ["1,5"], ["x"], ["true", "2"], ["nan"],
        [b"1"], [{"a": 1}], [[1]], [date(2026, 1, 1)], [float("inf")],
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_number(values):
    found = numbers(column(values), MISSING)
    assert found.wrong.tolist() == [0]
    assert not len(found.missing)


def test_missing_values_of_every_type():
    for values in (
        ["1", " NA ", "", None],
        [1.0, None, float("nan"), None],
        [1, None, None, None],
        [True] + [None] * 3,
    ):
        found = numbers(column(values), MISSING)
        assert found.missing.tolist() == [1, 2, 3]
        assert np.isnan(found.values).tolist() == [False, True, True, True]
    assert numbers(pa.chunked_array([pa.nulls(2)]), ()).missing.tolist() == [0, 1]


def test_decimal_commas():
    found = numbers(column(["1,5", "1.5", "2", "-0,25", "x"]), (), ",")
    assert found.wrong.tolist() == [1, 4]
    assert found.values[[0, 2, 3]].tolist() == [1.5, 2, -0.25]
    assert numbers(column(["true", "False"]), (), ",").values.tolist() == [1, 0]


def test_texts_are_as_they_are_written():
    found = texts(column(["02134", "2134", " a", "na"]), MISSING)
    assert found.values.to_pylist() == ["02134", "2134", " a", None]
    assert texts(column([1, None, 3]), ()).values.to_pylist() == ["1", None, "3"]
    assert texts(pa.chunked_array([pa.array(["x", "y", "x"]).dictionary_encode()]), ()).values.to_pylist() == list(
        "xyx"
    )
    assert texts(column([[1], [2]]), ()).wrong.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "form", "expected"),
    [
        (["1970-01-02", "1970-01-02T12:00", "1970-01-02 06:00"], "iso", [1, 1.5, 1.25]),
        (["1970-01-02T00:00Z", "1970-01-02T02:00+02:00"], "iso", [1, 1]),
        (["02.01.1970", "31.12.1969"], "%d.%m.%Y", [1, -1]),
        ([date(1970, 1, 2)], "iso", [1]),
        ([datetime(1970, 1, 2, 12)], "iso", [1.5]),
    ],
    ids=repr,
)
def test_instants_are_days_since_1970(values, form: str, expected):
    assert instants(column(values), (), form).values.tolist() == expected


def test_days_that_do_not_exist_are_none():
    assert instants(column(["2026-02-30", "2024-02-29", "na", "soon"]), MISSING).wrong.tolist() == [0, 3]
    assert instants(column(["31.02.2020", "28.02.2020", "1.1.20x"]), (), "%d.%m.%Y").wrong.tolist() == [0, 2]
    assert instants(column([1, 2]), ()).wrong.tolist() == [0, 1]


def test_places_among_names():
    assert places(column(["b", "c", None, "a"]), ["a", "b"]).tolist() == [1, -1, -1, 0]
    assert list_of(["", "\u00e9", "b"]).to_pylist() == ["", "\u00e9", "b"]


def test_tables_of_what_users_hold():
    pandas = pytest.importorskip("pandas", reason="of the extra `data`")
    expected = {"a": [1, None], "b": ["x", "y"]}
    frame = pandas.DataFrame({"a": [1.0, None], "b": ["x", "y"]})
    rows = [{"a": 1, "b": "x"}, {"b": "y"}]
    for raw in (pa.table(expected), frame, expected, rows, {"a": np.array([1.0, np.nan]), "b": np.array(["x", "y"])}):
        assert as_table(raw).to_pydict() == expected
    assert as_table({"a": [1, "x", None]}).to_pydict() == {"a": ["1", "x", None]}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("a.csv", "a table cannot be made of a value of type str"),
        (np.zeros((2, 2)), "a table cannot be made of a value of type ndarray"),
        ({"a": [1], "b": [1, 2]}, "the columns differ in length: `a` 1, `b` 2"),
    ],
    ids=["text", "array", "lengths"],
)
def test_what_is_no_table(raw, message: str):
    with pytest.raises(mf.ForgeError) as caught:
        as_table(raw)
    assert caught.value.problems[0].message == message


def test_columns_of_one_name():
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(mf.ForgeError, match="the data has several columns `a`") as caught:
        columns_of(twice, "the data")
    assert caught.value.problems[0].hint == "give each a name of its own"


def test_a_row_in_place_of_a_header():
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["0.5", "0.5", "iris"])
    with pytest.raises(mf.ForgeError) as caught:
        columns_of(twice, "the data")
    assert caught.value.problems[0].hint.endswith("if that is a row: write the names above it")


def test_texts_in_the_form_of_polars_are_plain_ones():
    table = pa.table({"a": pa.array(["1", "na"], pa.string_view())})
    found = numbers(columns_of(table, "it")["a"], MISSING)
    assert found.values[0] == 1
    assert found.missing.tolist() == [1]


def test_decimal_commas_of_a_whole_column():
    found = numbers(column(["1,5", " -2,25e1 ", "3", "na"]), MISSING, ",")
    assert found.values[:3].tolist() == [1.5, -22.5, 3]
    assert numbers(column(["1,5", "1.000,5", "1,2,3"]), MISSING, ",").wrong.tolist() == [1, 2]


def test_columns_without_rows_stay_columns():
    assert places(pa.chunked_array([], pa.string()), ["a"]).tolist() == []
    assert len(numbers(pa.chunked_array([], pa.float64()), MISSING).values) == 0


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"a": 1}, "column `a` must be a list of values, but is 1"),
        ({"a": "bc"}, "column `a` must be a list of values, but is 'bc'"),
        ("abc", "a table cannot be made of a value of type str"),
    ],
)
def test_what_is_no_column(raw, message: str):
    with pytest.raises(mf.ForgeError) as caught:
        as_table(raw)
    assert caught.value.problems[0].message == message


def test_a_data_frame_that_is_no_table_is_refused():
    pandas = pytest.importorskip("pandas", reason="an extra installs it")
    twice = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(mf.ForgeError, match="a table cannot be made of the DataFrame: Duplicate column names found"):
        as_table(twice)


def test_tensors_and_generators_are_columns():
    torch = pytest.importorskip("torch", reason="an extra installs it")
    table = as_table({"a": torch.tensor([1.5, 2.5]), "b": (one for one in (1, 2))})
    assert table.to_pydict() == {"a": [1.5, 2.5], "b": [1, 2]}
