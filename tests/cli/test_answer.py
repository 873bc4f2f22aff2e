"""Answers of commands: as text, as JSON, and as exit statuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from modelforge.cli.answer import WIDTH, Answer, console, progress, say
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import printable
from tests.report.hostile import HOSTILE


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


DATA = "who\nक्\u200cष\n❤\ufe0f ok\n"


@pytest.mark.parametrize(
    ("is_data", "is_terminal", "escaped"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_data_goes_into_a_file_or_a_pipe_as_it_is(
    is_data: bool, is_terminal: bool, escaped: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    with pytest.raises(SystemExit):
        say(lambda: Answer(None, DATA, is_data=is_data))
    assert capsys.readouterr().out == (
        DATA.replace("\ufe0f", "\\ufe0f").replace("\u200c", "\\u200c") if escaped else DATA
    )


def test_an_answer_has_its_own_exit_status_and_problems_have_that_of_the_command(capsys: pytest.CaptureFixture[str]):
    def fails() -> Answer:
        raise ForgeError([Problem("MF001", "init", "there is none")])

    with pytest.raises(SystemExit) as found:
        say(lambda: Answer(None, "", status=1))
    with pytest.raises(SystemExit) as failed:
        say(fails, failure=2)
    assert (found.value.code, failed.value.code) == (1, 2)
    assert capsys.readouterr() == ("", "error[MF001]: there is none\n  --> init\n")


def test_problems_are_data_too(capsys: pytest.CaptureFixture[str]):
    def fails() -> Answer:
        raise ForgeError([Problem("MF001", "init", "there is none")])

    with pytest.raises(SystemExit):
        say(fails, as_json=True)
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["code"], problem["path"], problem["message"]) == ("MF001", "init", "there is none")


def test_numbers_that_json_lacks_are_strings(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        say(lambda: Answer({"a": float("nan"), "b": Path("x")}, ""), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": "NaN", "b": "x"}


def test_what_is_no_terminal_is_wide_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    assert console().width == WIDTH
    monkeypatch.setenv("COLUMNS", "70")
    assert console().width == 70


def test_progress_gives_the_items_in_their_order(capsys: pytest.CaptureFixture[str]):
    assert list(progress([3, 1, 2], "counting")) == [3, 1, 2]
    assert capsys.readouterr() == ("", "")
