"""Rows in columns that never break a word, however narrow the terminal is."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from modelforge.report.aligned import Aligned, Wrapped

ROWS = [["weight", "normal 0.5", "conf/init/a.yaml:3"], ["bias", "zeros", "default"], ["scale", "", ""]]


def shown(item: Aligned | Wrapped, width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(item, crop=False)
    return capture.get().splitlines()


def texts(rows: list[list[str]]) -> list[list[Text]]:
    return [[Text(cell) for cell in row] for row in rows]


def test_cells_stand_below_one_another_where_there_is_room():
    assert shown(Aligned(texts(ROWS), indent=2), 60) == [
        "  weight  normal 0.5  conf/init/a.yaml:3",
        "  bias    zeros       default",
        "  scale",
    ]


def test_what_has_no_room_goes_below_its_row():
    assert shown(Aligned(texts(ROWS), stages=(2,)), 30) == [
        "weight  normal 0.5",
        "    conf/init/a.yaml:3",
        "bias    zeros",
        "    default",
        "scale",
    ]


def test_a_word_that_is_longer_than_the_terminal_is_left_whole():
    long = "x" * 50
    assert shown(Aligned(texts([["a", f"one {long} two"]])), 20) == ["a", "    one", f"    {long}", "    two"]
    assert shown(Wrapped(Text(f"one {long} two three"), indent=2), 20) == ["  one", f"  {long}", "  two three"]


def test_the_last_column_is_wrapped_where_it_has_room():
    rows = texts([["0", "failed: " + "word " * 8], ["1", "fine"]])
    lines = shown(Aligned(rows, wraps=True), 40)
    assert lines == ["0  failed: word word word word word word", "   word word", "1  fine"]


def test_an_empty_column_takes_no_room():
    assert shown(Aligned(texts([["a", "", "b"], ["c", "", "d"]])), 40) == ["a  b", "c  d"]


def test_wide_letters_count_as_two():
    assert shown(Aligned(texts([["図", "x"], ["ab", "y"]])), 40) == ["図  x", "ab  y"]
