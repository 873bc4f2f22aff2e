"""Tables on the disk: the same examples to the bit, in little memory; and folders that cannot hold one."""

from __future__ import annotations

import shutil
import tracemalloc
from io import FileIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from modelforge.train.data import frame, store
from modelforge.train.data.digest import digest
from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source
from modelforge.train.data.sheet import Sheet
from modelforge.train.data.store import MEMORY, Disk
from tests.train.tables import csv, told

pytestmark = pytest.mark.usefixtures("here")
SIZE = 300
COLUMNS = {
    "whole": [None if row % 11 == 0 else row * 7 % 31 for row in range(SIZE)],
    "real": [float("nan") if row % 13 == 0 else row * 0.37 for row in range(SIZE)],
    "kind": ["abc"[row % 3] if row % 7 else None for row in range(SIZE)],
    "city": [f"city {row % 5}" for row in range(SIZE)],
    "when": [f"2020-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(SIZE)],
    "flag": [row % 2 == 0 for row in range(SIZE)],
    "price": [row * 1.25 % 17 for row in range(SIZE)],
    "name": ["no" if row * 7 % 5 < 2 else "yes" for row in range(SIZE)],
}
TASKS = {
    "classification": {"target": "name", "num_outputs": 2, "ignore": ["price"]},
    "regression": {"target": "price", "num_outputs": 1, "ignore": ["name"]},
    "autoencoding": {"num_outputs": 1, "ignore": ["name", "price"], "embed": {}, "num_features": 14},
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ROWS", 64)
    monkeypatch.setattr(frame, "BLOCK", 500)


def source(here: Path, kind: str, task: str, **fields):
    import pyarrow.csv
    import pyarrow.feather
    import pyarrow.parquet

    table = pa.table(COLUMNS)
    path = here / f"table.{kind}"
    if kind == "csv":
        pyarrow.csv.write_csv(table, path)
    elif kind == "feather":
        pyarrow.feather.write_feather(table, str(path))
    elif kind == "hf":
        pytest.importorskip("datasets", reason="the extra `data`").Dataset.from_dict(COLUMNS).save_to_disk(str(path))
    else:
        encoded = table.set_column(3, "city", table["city"].dictionary_encode())
        pyarrow.parquet.write_table(encoded, path, row_group_size=70)
    raw = {
        "path": str(path),
        "impute": {"whole": "median", "real": "mean", "kind": "most_frequent"},
        "categorical": ["kind"],
        "embed": {"city": 6},
        "dates": ["when"],
        "num_features": 10,
        **TASKS[task],
    }
    if "city" not in raw["embed"]:
        raw |= {"categorical": ["kind", "city"], "num_features": 15}
    raw |= {"type": kind, "task": task, **fields}
    return parse_source({**raw, "input": {"shape": [raw["num_features"]]}})


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["csv", "parquet", "feather", "hf"])
def test_on_the_disk_the_examples_are_those_in_memory(here: Path, kind: str, task: str):
    held = read(source(here, kind, task))
    mapped = read(source(here, kind, task, on_disk=str(here)))
    assert digest(mapped) == digest(held)
    assert mapped.warnings == held.warnings
    assert {**mapped.fitted, "rows": None} == {**held.fitted, "rows": None}
    assert {path.name for path in here.iterdir()} == {"flowers.csv", f"table.{kind}"}  # no temporary file


def test_a_folder_of_files(here: Path):
    path = source(here, "parquet", "classification").path
    (here / "folder").mkdir()
    for name in ("a", "b"):
        shutil.copy(path, here / "folder" / f"{name}.parquet")
    held, mapped = (source(here, "parquet", "regression", path="folder", on_disk=where) for where in (None, "."))
    assert digest(read(mapped)) == digest(read(held))


def test_memory_holds_a_few_columns_at_a_time(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame, "BLOCK", 40_000)
    random = np.random.default_rng(0)
    wide = pa.table({**{f"c{place}": random.integers(9, size=10_000) for place in range(100)}, "kind": [0, 1] * 5_000})
    declared = csv(num_features=100, num_outputs=2)
    sheet = Sheet.of([("the table", wide, 0)])
    peaks = dict[str, int]()
    for name, where in {"memory": MEMORY, "disk": Disk(here)}.items():
        tracemalloc.start()
        examples = frame.read_examples(declared, sheet, where)
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(examples.train) == 7_000
    assert peaks["memory"] > wide.nbytes
    assert peaks["disk"] < wide.nbytes / 3, peaks


def test_a_folder_that_cannot_hold_the_table_is_a_problem(here: Path, monkeypatch: pytest.MonkeyPatch):
    ((path, message, _),) = told(source(here, "csv", "regression", on_disk="nowhere"))
    assert (path, message) == ("data.on_disk", "there is no folder `nowhere`")
    monkeypatch.setattr(store, "TemporaryFile", lambda dir: FileIO("/dev/full", "r+"))
    for kind in ("csv", "parquet", "feather"):
        ((path, message, hint),) = told(source(here, kind, "regression", on_disk="."))
        assert (path, message) == ("data.on_disk", "the table cannot be kept in `.`: no space left on device")
        assert hint == "name a folder that you may write to, on a disk with more space"


def test_processes_do_not_share_the_files(here: Path):
    with pytest.raises(ValidationError, match="`num_workers` must be 0 with `on_disk`"):
        source(here, "csv", "regression", on_disk=".", num_workers=2)
