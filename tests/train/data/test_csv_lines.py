"""Lines of CSV files: what pyarrow would take in silence is refused, and all else is well."""

from __future__ import annotations

import csv as library
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import modelforge as mf
from modelforge.train.data.csv_lines import Dialect, Header, check_text, header, ragged
from modelforge.train.data.read import read
from tests.train.tables import csv, told

pytestmark = pytest.mark.usefixtures("here")
COMMA = Dialect(",", '"', "utf-8-sig", newlines_in_values=False)


def written(here: Path, text: str | bytes) -> Path:
    path = here / "lines.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "names", "num_lines"),
    [
        ("a,b\n1,2\n", ("a", "b"), 1),
        ("\ufeffa, b \r\n1,2\r\n", ("a", "b"), 1),
        ("\n\n\na;b\n", ("a;b",), 4),
        ('"a,1","b ""x"""\r1,2\r', ("a,1", 'b "x"'), 1),
        ("", (), 0),
    ],
)
def test_a_header_names_the_columns(here: Path, text: str, names: tuple[str, ...], num_lines: int):
    assert header(written(here, text), "path", COMMA) == Header(names, num_lines)


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters='",\r\n\0'), max_size=5)
QUOTED = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=5).map(
    lambda text: '"' + text.replace('"', '""') + '"'
)
INCHES = PLAIN.filter(bool).map(lambda text: f'{text}" x')
"""A quote inside a value that is not quoted is a sign like any other."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(PLAIN | QUOTED | INCHES, min_size=2, max_size=2), max_size=8), st.sampled_from(["\n", "\r\n"]))
def test_what_python_reads_line_by_line_is_well(here: Path, rows: list[list[str]], end: str):
    check_text(written(here, end.join(map(",".join, rows))), "path", COMMA)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text('",x\n', max_size=12))
def test_a_file_is_refused_where_a_line_is_no_record_of_its_own(here: Path, text: str):
    def is_record(line: str) -> bool:
        try:
            return len([*library.reader([line], strict=True)]) <= 1
        except library.Error:
            return False

    path = written(here, text)
    if all(map(is_record, io.StringIO(text).readlines())):
        check_text(path, "path", COMMA)
    else:
        with pytest.raises(mf.ForgeError):
            check_text(path, "path", COMMA)


def test_all_ragged_rows_are_named_together(here: Path):
    path = written(here, "a,b\n1,2\n3\n\n4,5,6\n7\n8\n9\n")
    with pytest.raises(mf.ForgeError) as caught:
        ragged(path, "path", COMMA, ("a", "b"))
    assert caught.value.problems[0].message == (
        f"the header of `{path}` names 2 columns, but line 3 has 1 value, line 5 has 3 values, line 6 has 1 value "
        "and 2 more"
    )


SMALL = {"num_features": 1, "num_outputs": 2, "features": ["a"]}


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        ("a;kind\n" + "1,5;x\n-2,25;y\n" * 20, {"delimiter": ";", "decimal": ","}),
        ("a\tkind\n" + "1.5\tx\n-2.25\ty\n" * 20, {"delimiter": "\\t"}),
        ("a,kind\n" + "'1.5','x'\n'-2.25',y\n" * 20, {"quote": "'"}),
        ("a,kind\n" + '1.5,"x\n-2.25,y\n' * 20, {"quote": None}),
        (("a,kind\n" + "1.5,\u00e4\n-2.25,y\n" * 20).encode("latin-1"), {"encoding": "latin-1"}),
        (("a,kind\n" + "1.5,\u00e4\n-2.25,y\n" * 20).encode("utf-16"), {"encoding": "utf-16"}),
        ("a,kind\r" + "1.5,x\r-2.25,y\r" * 20, {}),
        ("\n\na,kind\n" + "1.5,x\n\n-2.25,y\n" * 20, {}),
        ("a,kind\n" + '1.5,"x\ny"\n-2.25,y\n' * 20, {"newlines_in_values": True}),
    ],
    ids=range(9),
)
def test_dialects(here: Path, raw: str | bytes, fields):
    (here / "flowers.csv").write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    examples = read(csv(**SMALL, **fields, standardize=False))
    assert set(examples.train.inputs[:, 0]) == {1.5, -2.25}
    assert len(examples.train) == 28


def test_a_file_of_another_dialect_is_refused(here: Path):
    (here / "flowers.csv").write_bytes(("a,kind\n" + "1.5,\u00e4\n2,y\n" * 20).encode("latin-1"))
    assert told(csv(**SMALL)) == [
        ("data.path", "`flowers.csv` is not UTF-8: byte 11 is 0xe4", "for 'ä': `data.encoding=cp1252`")
    ]
    (here / "flowers.csv").write_text("a;kind\n" + "1,5;x\n2;y\n" * 20)
    assert told(csv(**SMALL, delimiter=";"))[0][1] == (
        "column `a` must hold numbers, but has '1,5' in row 1 and 19 more rows"
    )
