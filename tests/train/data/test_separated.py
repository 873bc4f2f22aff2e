"""Tables as text: typed or as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.train.data.csv_lines import Dialect
from modelforge.train.data.separated import Numeric, read_separated

COMMAS = Dialect(",", '"', "utf-8-sig", newlines_in_values=False)
NUMBERS = Numeric(lambda names: [name for name in names if name != "id"], ("na",), ".")


def written(here: Path, text: str | bytes) -> Path:
    path = here / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_numbers_are_typed_and_all_else_is_as_it_is_written(tmp_path: Path):
    path = written(tmp_path, "id,x\n007,1.50\n9007199254740993,NA\n")
    assert read_separated(path, "path", COMMAS, 1000, NUMBERS).to_pydict() == {
        "id": ["007", "9007199254740993"],
        "x": [1.5, None],
    }
    assert read_separated(path, "path", COMMAS, 1000).to_pydict()["x"] == ["1.50", "NA"]


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("before", [0, 3])
def test_a_row_may_be_longer_than_a_block(tmp_path: Path, lines: bool, before: int):
    dialect = Dialect(",", '"', "utf-8-sig", newlines_in_values=lines)
    path = written(tmp_path, "id,x\n" + "a,1\n" * before + "b" * 9_000_000 + ",2\nc,3\n")
    table = read_separated(path, "path", dialect, 2**30, NUMBERS)
    assert table["x"].to_pylist() == [1.0] * before + [2.0, 3.0]
    assert len(table["id"][before].as_py()) == 9_000_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str):
    path = written(tmp_path, "größe,x\né,1\n".encode(encoding))
    dialect = Dialect(",", '"', "utf-8-sig" if encoding == "utf-8" else encoding, newlines_in_values=False)
    assert read_separated(path, "path", dialect, 1000).to_pydict() == {"größe": ["é"], "x": ["1"]}


@pytest.mark.parametrize(
    ("text", "message"), [("", "is empty"), ("\n", "is empty"), ("x,y\n", "has no rows below its header")]
)
def test_a_file_without_rows_is_refused(tmp_path: Path, text: str, message: str):
    with pytest.raises(ForgeError, match=message):
        read_separated(written(tmp_path, text), "path", COMMAS, 1000)
