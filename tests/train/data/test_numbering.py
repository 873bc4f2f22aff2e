"""Columns that number the rows: warned of, with the settings that leave them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelforge.train.data.read import read
from tests.train.tables import csv, write

pytestmark = pytest.mark.usefixtures("here")
SIZE = 60
ROWS = range(SIZE)
MIXED = np.random.default_rng(0).permutation(SIZE).tolist()


def warned(here: Path, name: str, values: list[float] | list[int], **fields: object) -> list[tuple[str, str, str]]:
    lines = [f"{value},{row * 0.37 % 5:.2f},{'abc'[row % 3]}" for row, value in enumerate(values)]
    write(here, f"{name},width,kind\n" + "\n".join(lines) + "\n")
    found = read(csv(**{"num_features": 2, **fields})).warnings
    return [(problem.key, problem.message, problem.hint) for problem in found if problem.code == "MW207"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("nr", [*ROWS]),
        ("nr", [row * row + 1000 for row in ROWS]),
        ("row", [1 + row for row in MIXED]),
        ("customer_id", [row * 7919 % 100_003 for row in MIXED]),
        ("PassengerId", [row * 7919 % 100_003 for row in MIXED]),
    ],
)
def test_a_column_that_numbers_the_rows_is_a_warning(here: Path, name: str, values: list[int]):
    message = f"column `{name}` has a different whole number in each row of `flowers.csv`, like a row number"
    hint = f"if they are row numbers: `'data.ignore=[{name}]' data.num_features=1`"
    assert warned(here, name, values) == [("data.features", message, hint)]
    assert warned(here, name, values, ignore=[name], num_features=1) == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("price", [row * 7919 % 100_003 for row in MIXED]),  # whole and different, as measured numbers can be
        ("grid", [row * 7919 % 100_003 for row in MIXED]),
        ("id", [row // 2 for row in ROWS]),
        ("id", [row + 0.5 for row in ROWS]),
        ("id", [*range(SIZE - 1), 0]),
    ],
)
def test_other_columns_are_none(here: Path, name: str, values: list[float]):
    assert warned(here, name, values) == []


def test_a_feature_that_is_named_is_wanted(here: Path):
    assert warned(here, "nr", [*ROWS], features=["nr", "width"]) == []


def test_a_few_rows_are_not_enough(here: Path):
    assert warned(here, "nr", [*range(12)], val_fraction=0.3, test_fraction=0.3) == []


def test_each_file_is_numbered_on_its_own(here: Path):
    (here / "test.csv").write_text("nr,width,kind\n" + "".join(f"{row},{row % 7},{'abc'[row % 3]}\n" for row in ROWS))
    assert len(warned(here, "nr", [*ROWS], test_path="test.csv")) == 1
