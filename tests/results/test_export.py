"""A sweep as CSV and as Parquet, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from modelforge.results import collect
from modelforge.results.export import to_csv, to_parquet
from tests.runs.jobs import job


def test_csv(sweep: Path):
    rows = list(csv.DictReader(to_csv(collect(sweep)).splitlines()))
    assert list(rows[0]) == ["state", "init.gain", "val/accuracy", "test/accuracy", "seconds", "folder", "reason"]
    assert rows[0] == {
        "state": "finished", "init.gain": "2", "val/accuracy": "0.875", "test/accuracy": "0.625",
        "seconds": "1.25", "folder": "1,gain=2", "reason": "",
    }  # fmt: skip
    assert len(rows) == 10


def test_parquet(sweep: Path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the `train` extra")
    table = parquet.read_table(io.BytesIO(to_parquet(collect(sweep)))).to_pydict()
    assert table["val/accuracy"][:4] == [0.875, 0.75, 0.25, None]
    assert table["init.gain"][:2] == ["2", "1"], "one job has `x`"
    assert table["state"][-1] == "missing"


def test_swept_numbers_are_numbers_in_parquet(tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="the `train` extra")
    for index, gain in enumerate(("1e-3", "2")):
        job(tmp_path / str(index), overrides=[f"gain={gain}", f"state={index}x"])
    table = parquet.read_table(io.BytesIO(to_parquet(collect(tmp_path)))).to_pydict()
    assert table["gain"] == [0.001, 2.0]
    assert table["state (2)"] == ["0x", "1x"], "a key that is called as a column of ours"
