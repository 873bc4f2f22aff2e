"""Files that are parts, and columns that say how to split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import modelforge as mf
from modelforge.train.data.read import read
from modelforge.train.data.sheet import Sheet
from modelforge.train.data.split import PART_OF, PARTS
from tests.train.tables import csv, told

pytestmark = pytest.mark.usefixtures("here")
ONE = {"num_features": 1, "features": ["a"], "num_outputs": 2, "standardize": False}


def rows(first: int, end: int, header: str = "a,kind") -> str:
    return f"{header}\n" + "".join(f"{row},{'xy'[row % 2]}\n" for row in range(first, end))


def values(part) -> list[float]:
    return part.inputs[:, 0].tolist()


def test_files_are_parts(here: Path):
    (here / "flowers.csv").write_text(rows(0, 40))
    (here / "val.csv").write_text(rows(40, 50))
    (here / "test.csv").write_text("kind,a\n" + "y,51\nx,52\n")
    examples = read(csv(**ONE, val_path="val.csv", test_path="test.csv"))
    assert values(examples.train) == [*range(40)]
    assert values(examples.val) == [*range(40, 50)]
    assert values(examples.test) == [51, 52]
    assert {name: one.tolist() for name, one in examples.fitted["rows"].items()} == {
        "train": [*range(40)], "val": [*range(10)], "test": [0, 1],
    }  # fmt: skip
    examples = read(csv(**ONE, test_path="test.csv"))
    assert [len(examples.train), len(examples.val), len(examples.test)] == [34, 6, 2]
    assert sorted(np.concatenate([*examples.fitted["rows"].values()][:2])) == [*range(40)]


def test_a_row_is_named_in_its_file(here: Path):
    (here / "flowers.csv").write_text(rows(0, 40))
    (here / "test.csv").write_text(rows(40, 42) + "x,y\n")
    assert told(csv(**ONE, test_path="test.csv")) == [
        (
            "data.features",
            "column `a` must hold numbers, but has 'x' in row 3 of `test.csv`",
            "write it as a number, or leave the row out",
        )
    ]
    (here / "test.csv").write_text(rows(40, 42, "a,sort"))
    assert told(csv(**ONE, test_path="test.csv"))[0][1] == "`test.csv` has no column `kind`, but `flowers.csv` has one"


def test_a_column_names_the_parts(here: Path):
    names = ["train", "TRAIN", "Validation", "test", "dev"]
    lines = "".join(f"{row},{'xy'[row % 2]},{names[row % 5]}\n" for row in range(50))
    (here / "flowers.csv").write_text("a,kind,part\n" + lines)
    examples = read(csv(num_features=1, num_outputs=2, standardize=False, split_column="part"))
    assert values(examples.test) == [*range(3, 50, 5)]
    assert [len(examples.train), len(examples.val), len(examples.test)] == [20, 20, 10]


def test_a_row_without_a_part_is_named(here: Path):
    (here / "flowers.csv").write_text("a,kind,part\n" + "1,x,train\n2,y,tset\n3,x,val\n4,y,\n")
    assert told(csv(num_features=1, num_outputs=2, split_column="part")) == [
        (
            "data.split_column",
            "column `part` must hold train, val or test, but has 'tset' and '' in 2 rows (row 2, row 4)",
            "name a part in every row",
        )
    ]


@pytest.mark.parametrize("keys", [("val_path",), ("test_path",), ("val_path", "test_path")])
def test_a_group_in_the_files_of_two_parts_is_refused(here: Path, keys: tuple[str, ...]):
    """`group` promises that the rows of each come into one part."""
    lines = "".join(f"{row},{'xy'[row % 2]},p{row % 10}\n" for row in range(60))
    (here / "flowers.csv").write_text("a,kind,who\n" + lines)
    others = {key: f"{key}.csv" for key in keys}
    for place, name in enumerate(others.values()):
        (here / name).write_text("a,kind,who\n" + f"100,x,q{place}\n101,y,p3\n102,x,p4\n")
    declared = {**ONE, **others, "group": "who"}
    where = f"'p3' in row 4 of `flowers.csv` and row 2 of `{others[keys[0]]}`"
    assert told(csv(**declared)) == [
        (
            "data.group",
            f"2 groups have rows in the files of several parts: {where}",
            "write the rows of each into one file, or split by rows: `data.group=null`",
        )
    ]
    for place, name in enumerate(others.values()):
        (here / name).write_text("a,kind,who\n" + f"100,x,q{place}\n101,y,q{place}\n")
    examples = read(csv(**declared))
    assert len(examples.val)
    assert len(examples.test)


def test_a_test_before_the_training_is_refused_where_time_decides(here: Path):
    lines = "".join(f"{row},{'xy'[row % 2]},{100 + row}\n" for row in range(40))
    (here / "flowers.csv").write_text("a,kind,when\n" + lines)
    (here / "test.csv").write_text("a,kind,when\n" + "50,x,99\n51,y,200\n")
    declared = {**ONE, "test_path": "test.csv", "time": "when"}
    message = "the test part begins before the training part ends, but by `time` it comes later"
    hint = "cut the files at a time, or split by rows: `data.time=null`"
    assert told(csv(**declared)) == [("data.time", message, hint)]
    (here / "test.csv").write_text("a,kind,when\n" + "50,x,140\n51,y,200\n")
    assert values(read(csv(**declared)).val) == [*range(34, 40)]


@pytest.mark.parametrize(("cell", "value"), [("nA", 20.0), ("+3,5", 3.5)])
def test_numbers_with_a_comma_beside_a_file_that_is_read_as_text(here: Path, cell: str, value: float):
    """Those of the other file were written with a point."""
    (here / "flowers.csv").write_text("a;kind\n" + "".join(f"{row},5;{'xy'[row % 2]}\n" for row in range(40)))
    (here / "val.csv").write_text(f"a;kind\n1,5;x\n{cell};y\n")
    declared = {**ONE, "val_path": "val.csv", "delimiter": ";", "decimal": ",", "test_fraction": 0.1}
    examples = read(csv(**declared, impute=20.0))
    assert values(examples.val) == [1.5, value]
    assert sorted([*values(examples.train), *values(examples.test)]) == [row + 0.5 for row in range(40)]
    (here / "val.csv").write_text("a;kind\n1,5;x\noops;y\n")
    ((_, message, _),) = told(csv(**declared))
    assert message == "column `a` must hold numbers, but has 'oops' in row 2 of `val.csv`"


@pytest.mark.parametrize("name", PART_OF)
def test_a_column_names_parts_as_folders_do(here: Path, name: str):
    others = [other for other in PARTS if other != PARTS[PART_OF[name]]]
    names = [f" {name.title()} ", *others]
    lines = "".join(f"{row},{'xy'[row % 2]},{names[row % 3]}\n" for row in range(30))
    (here / "flowers.csv").write_text("a,kind,part\n" + lines)
    examples = read(csv(num_features=1, num_outputs=2, standardize=False, split_column="part"))
    part = (examples.train, examples.val, examples.test)[PART_OF[name]]
    assert values(part) == [*range(0, 30, 3)]


def test_the_time_may_be_a_date_and_a_feature(here: Path):
    lines = "".join(f"{row},{'xy'[row % 2]},{1 + row % 28}.{12 - row // 28}.2025\n" for row in range(56))
    (here / "flowers.csv").write_text("a,kind,when\n" + lines)
    dated = {"dates": {"when": "%d.%m.%Y"}, "date_parts": ["elapsed"], "num_outputs": 2, "standardize": False}
    examples = read(csv(num_features=2, time="when", **dated))
    assert examples.train.inputs[:, 1].max() < examples.val.inputs[:, 1].min()
    assert examples.val.inputs[:, 1].max() < examples.test.inputs[:, 1].min()


def test_rows_in_words():
    sheet = Sheet.of([("`a`", pa.table({"x": [1, 2]}), 0), ("`b`", pa.table({"x": [3]}), 2)])
    assert [sheet.place(row) for row in range(3)] == ["row 1 of `a`", "row 2 of `a`", "row 1 of `b`"]
    assert len(sheet) == 3
    with pytest.raises(mf.ForgeError, match="`a` has several columns `x`"):
        Sheet.of([("`a`", pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]), 0)])
