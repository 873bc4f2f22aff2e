"""What is printed: no name from a config, a file or a class moves the cursor, turns text round or begins a line."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelforge.cli.answer import Answer, say
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.quoting import printable
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import value, where
from modelforge.report.problems import problems_text
from modelforge.report.screen import Screen
from modelforge.report.stream import Stream
from modelforge.report.table import to_text

HOSTILE = [
    "\x1b[31m", "\n::error::pwned", "\r", "\x00", "\x07", "\x7f", "\x9b", "\u0085", "\u2028", "\u2029", "\u202e",
    "\u2066", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u061c", "\u180e", "\u034f", "\u3164", "\ufe0f",
    "\U000e0041", "\ud800", "\t",
]  # fmt: skip


def is_clean(text: str, *, lines: int = 1) -> bool:
    return all(printable(line) == line for line in text.split("\n")) and len(text.split("\n")) == lines


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_each_part_of_a_problem_is_escaped(text: str):
    name = f"a{text}b"
    for place, lines in (
        (None, 3),
        (Place(override=f"x={name}"), 3),
        (Place(name, 1), 4),
        (Place(name, 1, 2, 3, source=f"x: {name}", via=Place(override=name)), 8),
    ):
        problem = Problem("MF010", name, f"unknown {name}", f"known: {name}".replace("\n", ""), place)
        assert is_clean(str(problem), lines=lines)
        assert is_clean(str(ForgeError([problem])), lines=lines)
        assert is_clean(problems_text([problem]).plain, lines=lines)


def test_the_text_of_a_problem_with_a_line_break():
    source = 'type: "x\u202e\u200b\x1b[31m"'
    place = Place("conf/a\n::error::.yaml", 3, 7, 10, source)
    problem = Problem("MF010", "model", "unknown layer type `x\n::error::`", "one\ntwo", place)
    assert str(problem) == (
        "error[MF010]: unknown layer type `x\\n::error::`\n"
        "  --> conf/a\\n::error::.yaml:3:7\n"
        "   |\n"
        '3  | type: "x\\u202e\\u200b\\x1b[31m"\n'
        "   |       ^^^^^^^^^^^^^^^^^^^^^^^ one\n"
        "   = help: two\n"
        "   = override key: model"
    )


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_tables_stay_on_their_lines(text: str):
    table = Table(f"one{text}", "two")
    table.add_row(f"a{text}b", Text(f"c{text}d", "bold"))
    grid = Table.grid()
    grid.add_column()
    grid.add_row(f"a{text}b")
    shown = to_text(Group(Padding(table, (0, 2)), grid))
    assert is_clean(shown, lines=len(to_text(Group(Padding(_plain(), (0, 2)), Text("x"))).split("\n")))
    assert is_clean(value(f"a{text}b"))
    assert is_clean(where(Place(override=f"a{text}b")))
    assert is_clean(did_you_mean("nothing", [f"a{text}b"]))


def _plain() -> Table:
    table = Table("one", "two")
    table.add_row("ab", "cd")
    return table


@pytest.mark.parametrize("text", [one for one in HOSTILE if "\n" not in one], ids=ascii)
def test_whatever_a_console_or_a_library_prints_is_escaped(text: str):
    file = io.StringIO()
    screen = Screen(file=file, force_terminal=True, width=200)
    screen.print(Text(f"a{text}b"), f"c{text}d", markup=False, highlight=False)
    assert is_clean(file.getvalue(), lines=2)
    file = io.StringIO()
    print(f"a{text}b", file=Stream(file, escaped=True))
    assert printable(file.getvalue(), "\n\t\r") == file.getvalue()


def test_colours_still_work():
    file = io.StringIO()
    Screen(file=file, force_terminal=True, width=20, color_system="standard").print(Text("x\x1b[0m", "red"))
    assert file.getvalue() == "\x1b[31mx\\x1b[0m\x1b[0m\n"


@pytest.mark.parametrize("text", HOSTILE[:-2], ids=ascii)
def test_json_stays_json(text: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        say(lambda: Answer({f"a{text}": [f"b{text}"]}, ""), as_json=True)
    shown = capsys.readouterr().out
    assert printable(shown, "\n") == shown
    assert json.loads(shown) == {f"a{text}": [f"b{text}"]}


def test_text_answers_are_escaped(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        say(lambda: Answer(None, "one\x1b[31m\ntwo\u202e\n"))
    assert capsys.readouterr().out == "one\\x1b[31m\ntwo\\u202e\n"
