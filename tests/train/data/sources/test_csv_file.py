"""CSV files: quotes, long fields, and files that are not a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.train.data.read import read
from tests.train.tables import PAIRS, TWO, csv, told, write

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`flowers.csv` is empty"),
        ("a,kind\n", "`flowers.csv` has no rows below its header"),
        ("\n\r\n\n\n", "`flowers.csv` is empty"),
        ("a,a,kind\n1,2,x\n", "`flowers.csv` has several columns `a`"),
        ("a,b,c,kind\n1,2,3,x\n1,2,x\n", "the header of `flowers.csv` names 4 columns, but line 3 has 3 values"),
        ("a,b,c,kind\n1,2,,x\n", "column `c` has no value in row 1"),
        ("a,b,c,kind\n1,inf,3,x\n1,2,3,x\n", "column `b` must hold numbers, but has 'inf' in row 1"),
        ("a,b,c,kind\n1,2,3,x\n1,2,3,\n", "column `kind` has no class in row 2"),
        (b"a,b,c,kind\n1,2,3,\xe4\n", "`flowers.csv` is not UTF-8: byte 17 is 0xe4"),
    ],
)
def test_files_that_are_no_such_table(here: Path, text: str | bytes, message: str):
    (here / "flowers.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert [problem[1] for problem in told(csv())][:1] == [message]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,kind\n" + PAIRS.replace("\n40,", '\n"40,'), 42),
        ("a,kind\n" + PAIRS.replace("\n40,", '\n"40,') + PAIRS * 1000, 42),  # 470,000 characters
        ("a,kind\n" + PAIRS + '60,"a', 62),
        ("a,kind\n" + PAIRS + '60,"', 62),
        ('a,"kind\n' + PAIRS, 1),
        ('a,kind\n1,"b"\n2,"a\n""b\n' + PAIRS, 3),
        ('a,kind\n1,"b\nc"\n"2\n3","a\n' + PAIRS, 2),
        ("a,kind\n" + PAIRS.replace("\n40,", '\n"40,').replace("\n50,", '\n"50,'), 42),  # pyarrow: 51 rows
        ('a,kind\n1,"a\n2,b"\n' + PAIRS, 2),  # one value, for pandas, pyarrow and Python's `csv`
        ('a,kind\r1,5" x\r2,"a\r' + PAIRS.replace("\n", "\r"), 3),
    ],
    ids=range(10),
)
def test_a_quote_that_does_not_close_in_its_line_is_refused(here: Path, text: str, line: int):
    write(here, text)
    assert told(csv(**TWO)) == [
        (
            "data.path",
            f"a quote opens in line {line} of `flowers.csv` and does not close in it",
            "close it; a quote inside quotes is written twice; for values of several lines: "
            "`data.newlines_in_values=true`",
        )
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,kind\n" + PAIRS.replace("\n40,", '\n"40,').replace("\n50,", '\n"50,'),
            "line 42 of `flowers.csv` begins a row that cannot be read: ',' expected after '\"'",
        ),
        (
            'a,kind\n1,"b\nc"\n"2\n3","a\n' + PAIRS,
            "a quote opens in the row of line 4 of `flowers.csv` and is never closed",
        ),
    ],
)
def test_where_values_have_several_lines_the_whole_file_is_checked(here: Path, text: str, message: str):
    write(here, text)
    hint = "close it; a quote inside quotes is written twice"
    assert told(csv(**TWO, newlines_in_values=True)) == [("data.path", message, hint)]


def test_quotes_that_are_well(here: Path):
    write(here, 'a,kind\n"1","a ""x"",\ny"\n' + '1,"a ""x"",\ny"\n2,5" b\n' * 20)
    assert read(csv(**TWO, newlines_in_values=True)).fitted["classes"] == ('5" b', 'a "x",\ny')
    write(here, "a,kind\n" + '"1","a ""x"", y"\n' * 9 + '2,5" b\n' * 20)
    assert read(csv(**TWO)).fitted["classes"] == ('5" b', 'a "x", y')


def test_long_fields_and_the_limit_of_the_process(here: Path):
    import csv as library

    before = library.field_size_limit()
    write(here, "a,kind\n" + PAIRS.replace("a", "a" * 200_000))
    assert len(read(csv(**TWO)).train) == 42
    assert library.field_size_limit() == before


WORDS = "width,farbe,kind\n" + "".join(f"{row % 7},{('weiß', 'grün')[row % 2]},{'ab'[row % 2]}\n" for row in range(60))
COLOURS = {"categorical": ["farbe"], "num_features": 3, "num_outputs": 2}


def test_bytes_in_another_encoding_come_with_one_that_fits(here: Path):
    write(here, WORDS.encode("cp1252"))
    assert told(csv(**COLOURS)) == [
        ("data.path", "`flowers.csv` is not UTF-8: byte 22 is 0xdf", "for 'weiß': `data.encoding=cp1252`")
    ]
    write(here, WORDS.encode("cp1252").replace(b"\xdf", b"\x81"))
    assert told(csv(**COLOURS))[0][2] == "name its `data.encoding`, such as latin-1"


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp437"])
def test_utf8_that_is_read_in_another_encoding_is_a_warning(here: Path, encoding: str):
    write(here, WORDS.encode())
    (warning,) = [one for one in read(csv(**COLOURS, encoding=encoding)).warnings if one.code == "MW206"]
    wrong = "weiß".encode().decode(encoding)
    assert warning.message == f"`flowers.csv` is UTF-8, but is read as {encoding}: 'weiß' becomes {wrong!r}"
    assert (warning.key, warning.hint) == ("data.path", "write `data.encoding=utf-8`")


@pytest.mark.parametrize(
    ("text", "encoding"), [(WORDS, "cp1252"), (WORDS, "utf-8"), (WORDS, "utf-16"), (WORDS.replace("ß", "s"), "utf-8")]
)
def test_a_file_in_its_encoding_is_none(here: Path, text: str, encoding: str):
    write(here, text.encode(encoding))
    source = csv(**COLOURS, encoding=encoding)
    assert [one for one in read(source).warnings if one.code == "MW206"] == []
    assert [*source.doubts(here / "flowers.csv")] == []


def test_a_new_file_in_utf8_is_a_warning(here: Path):
    (here / "new.csv").write_text(WORDS, encoding="utf-8")
    (warning,) = csv(**COLOURS, encoding="cp1252").doubts(here / "new.csv")
    assert (warning.code, warning.key, warning.hint) == ("MW206", "", "save it in cp1252")


def refused(source, path: Path) -> tuple[str, str]:
    with pytest.raises(ForgeError) as caught:
        source.raw(path)
    (problem,) = caught.value.problems
    return problem.message, problem.hint


def test_a_new_file_that_is_written_otherwise_is_refused_with_what_the_run_reads(here: Path):
    (here / "new.csv").write_bytes(WORDS.encode("cp1252"))
    hint = "the run reads files in utf-8, with ',' between values: write it so"
    assert refused(csv(**COLOURS), here / "new.csv") == (f"`{here}/new.csv` is not UTF-8: byte 22 is 0xdf", hint)
    (here / "new.csv").write_text("a;b\n1,5;2\n")
    assert refused(csv(**COLOURS), here / "new.csv")[1] == hint
    assert "`data.max_bytes=" in refused(csv(**COLOURS, max_bytes=3), here / "new.csv")[1]


def test_columns_of_a_new_file_with_another_delimiter_are_told_with_that_of_the_run():
    sign = ": ';' stands between values, but the run's `delimiter` is ','"
    assert csv().described(["width;kind"]) == "it has `width;kind`" + sign
    assert csv().described(["width", "a;b"]) == "it has `width` and `a;b`"
