"""Parquet files: columns, bounds, and damage."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from modelforge.train.data.read import read
from modelforge.train.data.source import Source
from tests.train.tables import COLUMNS, TWO, X, Y, csv, npz, told

pytestmark = pytest.mark.usefixtures("here")


def write_parquet(here: Path, columns, **fields):
    pyarrow, parquet = (
        pytest.importorskip("pyarrow", reason="the extra `train`"),
        pytest.importorskip("pyarrow.parquet", reason="the extra `train`"),
    )
    parquet.write_table(pyarrow.table(columns), here / "flowers.parquet", **fields)


def parquet(**fields) -> Source:
    return csv(type="parquet", path="flowers.parquet", **fields)


def test_parquet(here: Path):
    write_parquet(here, COLUMNS)
    assert len(read(parquet(features=["b"], num_features=1)).train) == 22
    assert [problem[1] for problem in told(parquet(num_features=2))] == [
        "column `a` has no value in 10 rows (row 2, row 5, row 8 and 7 more)"
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"kind": [{"k": 1}] * 30}, "row 1 of the target of `flowers.parquet` has a value of type dict"),
        ({"kind": [date(2026, 1, 1)] * 30}, "row 1 of the target of `flowers.parquet` has a value of type date"),
        ({"kind": [[1], [2]] * 15}, "row 1 of the target of `flowers.parquet` has a value of type list"),
        ({"b": [{"k": 1}] * 30}, "column `b` must hold numbers, but has {'k': 1} in row 1 and 29 more rows"),
        ({"b": [], "kind": []}, "`flowers.parquet` has no rows"),
    ],
    ids=range(5),
)
def test_columns_of_parquet_that_are_no_numbers_and_no_classes(here: Path, columns, message: str):
    write_parquet(here, {key: COLUMNS[key] for key in ("b", "kind")} | columns)
    assert told(parquet(num_features=1))[0][1].endswith(message)


def test_parquet_is_bounded_by_what_it_unpacks_to(here: Path):
    write_parquet(here, {"b": np.ones(10**6), "kind": np.ones(10**6, int)})
    assert (here / "flowers.parquet").stat().st_size < 10_000
    assert told(parquet(num_features=1, max_bytes=10**6))[0][:2] == (
        "data.max_bytes",
        "`flowers.parquet` takes 16,000,000 bytes, but `max_bytes` is 1,000,000",
    )


def test_a_long_text_that_is_stored_once_is_bounded(here: Path):
    pyarrow = pytest.importorskip("pyarrow", reason="the extra `train`")
    words = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.arange(30_000, dtype="i4") % 2), ["x" * 100_000, "y"])
    columns = {"a": np.arange(30_000.0), "kind": words}  # 1.5 GB, unpacked
    write_parquet(here, columns)
    assert len(read(parquet(**TWO, max_bytes=10**7)).train) == 21_000
    write_parquet(here, columns, store_schema=False)
    ((path, message, _),) = told(parquet(**TWO, max_bytes=10**8))
    assert path == "data.max_bytes"
    assert message.startswith("unpacked, the first rows of `flowers.parquet` takes ")


def test_damaged_files_are_named(here: Path):
    write_parquet(here, {"a": np.arange(60.0), "kind": ["a", "b"] * 30})
    whole = (here / "flowers.parquet").read_bytes()
    (here / "flowers.parquet").write_bytes(whole[:60] + bytes(255 - byte for byte in whole[60:90]) + whole[90:])
    assert told(parquet(**TWO))[0][1].startswith("`flowers.parquet` cannot be read as Parquet: ")
    np.savez(here / "arrays.npz", x=X, y=Y)
    (here / "arrays.npz").write_bytes((here / "arrays.npz").read_bytes()[30:])
    assert told(npz()) == [("data.path", "`arrays.npz` cannot be read: it is damaged", "save it again")]


def write_folder(here: Path) -> None:
    pyarrow, parquet = (
        pytest.importorskip("pyarrow", reason="an extra installs it"),
        pytest.importorskip("pyarrow.parquet", reason="an extra installs it"),
    )
    for part, first, size in (("test", 50, 10), ("train", 0, 40), ("val", 40, 10)):
        (here / "table" / f"part={part}").mkdir(parents=True)
        rows = range(first, first + size)
        table = pyarrow.table({"a": [row / 2 for row in rows], "kind": ["xyz"[row % 3] for row in rows]})
        parquet.write_table(table, here / "table" / f"part={part}" / "0.parquet")


def test_a_folder_of_files_is_a_table_and_its_folders_a_column(here: Path):
    write_folder(here)
    source = csv(type="parquet", path="table", split_column="part", num_features=1)
    examples = read(source)
    assert [len(part) for part in (examples.train, examples.val, examples.test)] == [40, 10, 10]
    raw = source.raw(here / "table")
    assert raw["part"].to_pylist()[:11] == ["test"] * 10 + ["train"]
    again = source.encode(raw.slice(0, 10), examples.fitted, labelled=True)
    assert np.array_equal(again.inputs, examples.test.inputs)
    assert np.array_equal(again.targets, examples.test.targets)


def test_a_folder_of_files_with_different_columns_is_refused(here: Path):
    write_folder(here)
    pyarrow, parquet = (
        pytest.importorskip("pyarrow", reason="an extra installs it"),
        pytest.importorskip("pyarrow.parquet", reason="an extra installs it"),
    )
    parquet.write_table(
        pyarrow.table({"a": [1.0], "kind": ["x"], "more": [1]}), here / "table" / "part=val" / "1.parquet"
    )
    ((path, message, hint),) = told(csv(type="parquet", path="table", num_features=1))
    assert path == "data.path"
    assert message.startswith(
        "`table/part=val/1.parquet` has a column `more`, and `table/part=test/0.parquet` has none"
    )
    assert hint == "write all with the same columns"
    (here / "none").mkdir()
    assert told(csv(type="parquet", path="none"))[0][1] == "no Parquet file lies in `none`"
