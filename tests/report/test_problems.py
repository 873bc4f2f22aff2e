"""Problems in colour say the same as without."""

from __future__ import annotations

from rich.console import Console, Group

from modelforge.core.errors import Place, Problem, render
from modelforge.report.problems import problems_text
from modelforge.report.table import to_text

PLACE = Place("conf/model/lstm.yaml", 6, 5, 10, "    hiden_size: 64")
PROBLEM = Problem("MF012", "model.layers.rnn.hiden_size", "LSTM has no argument `hiden_size`", "a hint", PLACE)


def test_the_text_is_that_of_render():
    assert to_text(problems_text([PROBLEM])) == render(PROBLEM)


def test_lines_are_not_wrapped():
    long = Problem("MF001", "", "word " * 60)
    assert len(to_text(problems_text([long]), width=40).splitlines()[0]) > 250


def test_what_is_wrong_at_one_place_is_said_at_one_place():
    other = Problem(PROBLEM.code, PROBLEM.path, "something else", PROBLEM.hint, PLACE)
    text = to_text(problems_text([PROBLEM, other]))
    assert text.count("-->") == 1
    assert text.endswith("   = also: something else")


def test_errors_are_red_and_warnings_yellow():
    console = Console(force_terminal=True, color_system="standard", width=100)
    with console.capture() as capture:
        console.print(Group(problems_text([PROBLEM, Problem("MW101", "", "careful", severity="warning")])))
    text = capture.get()
    assert "\x1b[1;31merror[MF012]" in text
    assert "\x1b[1;33mwarning[MW101]" in text
    assert "\x1b[31m^^^^^^^^^^ a hint" in text


def test_a_config_cannot_drive_the_terminal():
    hostile = Problem("MF012", "x", "\x1b[2Jgone", place=Place("a.yaml", 1, 1, 1, "x: \x1b]0;title\x07"))
    text = to_text(problems_text([hostile]))
    assert "\x1b" not in text
    assert "\\x1b[2Jgone" in text
