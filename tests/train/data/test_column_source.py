"""Sources of files with columns: the files of the parts, in memory or on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.train.data.digest import digest
from modelforge.train.data.read import read
from modelforge.train.data.store import MEMORY, Disk
from tests.train.tables import csv, told, write

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def files(here: Path) -> None:
    """Two files with the same columns in another order, one of them with texts among its numbers."""
    write(here, "a,b,kind\n" + "".join(f"{row}, {row / 3} ,{'xy'[row % 2]}\n" for row in range(90)))
    (here / "late.csv").write_text("kind,b,a\n" + "".join(f"{'xy'[row % 2]},{row}.5,-{row}\n" for row in range(40)))


@pytest.mark.usefixtures("files")
def test_each_file_has_a_part(here: Path):
    source = csv(num_features=2, num_outputs=2, test_path="late.csv")
    assert [(name, len(table), part) for name, table, part in source.tables()] == [
        ("`flowers.csv`", 90, 0),
        ("`late.csv`", 40, 2),
    ]
    assert len(read(source).test) == 40
    assert told(csv(num_features=2, num_outputs=2, val_path="other.csv"))[0][:2] == (
        "data.val_path",
        "there is no file `other.csv`",
    )


@pytest.mark.usefixtures("files")
def test_files_on_the_disk_give_the_same_examples(here: Path):
    fields = {"num_features": 2, "num_outputs": 2, "test_path": "late.csv"}
    held, mapped = csv(**fields), csv(**fields, on_disk=".")
    assert (held.store, mapped.store) == (MEMORY, Disk(Path()))
    assert digest(read(mapped)) == digest(read(held))
