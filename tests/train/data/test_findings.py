"""What a table that cannot be read needs: one line with all settings."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from modelforge.core.errors import ForgeError
from modelforge.train.data.arrow import numbers
from modelforge.train.data.features import Feature
from modelforge.train.data.findings import way_out
from modelforge.train.data.refusals import fault, settings, together
from modelforge.train.data.registry import parse_source
from tests.train.tables import csv


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b"] * 9, ("categorical", "x")),
        ([f"person {row}" for row in range(18)], ("ignore", "x")),
        (["2026-01-31", None] * 9, ("dates", "x", "iso")),
        (["1", "2", "x"] * 6, ()),  # a mistake in a column of numbers
        ([[1], [2]] * 9, ("ignore", "x")),
        ([date(2026, 1, 31), None] * 9, ("dates", "x", "iso")),
        ([datetime(2026, 1, 31, 12, tzinfo=UTC)] * 18, ("dates", "x", "iso")),
        (pa.array(["a", "b"] * 9).dictionary_encode(), ("categorical", "x")),  # a categorical column of pandas
    ],
    ids=range(8),
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


GERMAN = "Name;Preis;Alter;gebucht;Art\n" + "".join(
    f"Nr {n};{n},5;{'' if n == 3 else n};{n % 28 + 1:02}.03.2024;{'ab'[n % 2]}\n" for n in range(40)
)
SECTION = {"type": "csv", "path": "t.csv", "target": "Art", "num_features": 1, "num_outputs": 2}


def proposed(text: str, **section: object) -> list[str]:
    """The settings that a section gets as its way out, for a table in the working folder."""
    Path("t.csv").write_text(text, encoding="utf-8")
    source = parse_source({**SECTION, "input": {"shape": [1]}, "task": "classification", **section})
    with pytest.raises(ForgeError) as caught:
        source.read()
    return settings(caught.value.problems)


@pytest.mark.usefixtures("here")
def test_a_table_with_commas_and_dates_of_germany_is_read_with_one_line_of_settings():
    lines = {
        "\"data.decimal=','\"",
        "'data.impute={Alter: median}'",
        "\"data.dates={gebucht: '%d.%m.%Y'}\"",
        "data.num_features=6",
    }
    named = {"'data.ignore=[Name]'"} | lines
    assert {*proposed(GERMAN, delimiter=";")} == named
    assert {*proposed(GERMAN)} == named | {"\"data.delimiter=';'\"", "data.target=Art"}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["13/02/2024", "01/02/2024"], ["\"data.dates={x: '%d/%m/%Y'}\""]),
        (["02/13/2024", "02/01/2024"], ["\"data.dates={x: '%m/%d/%Y'}\""]),
        (["2024/02/13 10:30", "2024/02/01 00:00"], ["\"data.dates={x: '%Y/%m/%d %H:%M'}\""]),
        (["01/02/2024", "03/04/2024"], []),  # day or month first?
        (["1,5", "2,25"], ["\"data.decimal=','\""]),
        (["1,000", "2,250"], []),  # thousands?
    ],
)
def test_what_has_two_readings_is_not_guessed(values: list[str], expected: list[str]):
    rows = "".join(f"{values[n % 2]};{n};{'ab'[n % 2]}\n" for n in range(40))
    lines = proposed("x;y;Art\n" + rows, delimiter=";")
    assert [line for line in lines if "dates" in line or "decimal" in line] == expected


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, "'data.impute=[median,most_frequent]'"),
        ({"impute": "mean"}, "'data.impute=[mean,most_frequent]'"),
        ({"impute": {"x0": 0}}, "'data.impute={x0: 0, x1: median, "),
    ],
    ids=["for all", "for the others", "by name"],
)
def test_many_columns_are_filled_in_by_one_setting(section: dict[str, object], expected: str):
    """More columns than are named, numbers and categories: one line of settings reads all of them."""
    names = [f"x{place}" for place in range(30)]
    header = ";".join([*names, "kind", "Art"])
    rows = [[*("" if n == place else f"{n}" for place in range(30)), "" if n == 5 else "uvw"[n % 3]] for n in range(40)]
    table = "\n".join([header, *(";".join([*row, "ab"[n % 2]]) for n, row in enumerate(rows))])
    lines = proposed(table, delimiter=";", **section)
    assert any(line.startswith(expected) for line in lines)
    assert {"'data.categorical=[kind]'", "data.num_features=33"} <= {*lines}


def test_of_a_list_each_column_takes_the_first_that_it_can_have():
    source = csv(impute=["mean", "most_frequent", "drop"], categorical=["city"], embed={"street": 9}, dates=["sold"])
    fills = {name: source.fill(name) for name in ("width", "sold", "city", "street", "kind")}
    assert fills == {"width": "mean", "sold": "mean", "city": "most_frequent", "street": "drop", "kind": "drop"}
    with pytest.raises(
        ValidationError, match="must be a number or error, drop, mean, median, most_frequent, not 'avg'"
    ):
        csv(impute=["median", "avg"])


@pytest.mark.usefixtures("here")
def test_a_column_that_is_left_out_is_not_filled_in():
    rows = "".join(f"{'' if n == 3 else f'Nr {n}'};{n};{'ab'[n % 2]}\n" for n in range(40))
    assert proposed("x;y;Art\n" + rows, delimiter=";") == ["'data.ignore=[x]'"]
