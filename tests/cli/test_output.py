"""diff: status, output file, formats and schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from modelforge.review.formats import FORMATS

GAIN, LR = "init.gain=2", "+optimizer.lr=1"


@pytest.mark.parametrize(
    ("new", "fail_on", "status"),
    [
        (GAIN, "none", 0),
        (GAIN, "info", 1),
        (GAIN, "warning", 1),
        (GAIN, "error", 0),
        (GAIN, "changed-init", 1),
        (GAIN, "changed-training", 0),
        (LR, "changed-training", 1),
        (LR, "changed-init", 0),
        ("init.gain=1", "info", 0),
        ("init.gain=many", "none", 2),
    ],
)
def test_which_changes_fail(run, new, fail_on, status):
    run("diff", ".", new, "--fail-on", fail_on, status=status)


@pytest.mark.parametrize("form", [*FORMATS, "text"])
def test_every_format_goes_into_a_file_whole(text, run, tmp_path, form):
    file = tmp_path / "review.out"
    said = text("diff", ".", GAIN, "--format", form, "--output", str(file))
    assert said == "1 parameter starts differently, predicted energy of gradients ×4"
    assert len(file.read_text()) > 2
    assert [path.name for path in tmp_path.iterdir()] == ["review.out"]


COMMANDS = (
    ("check", "model=rnn"),
    ("lint", "model=rnn"),
    ("diff", ".", GAIN),
    ("sweep", "."),
)


def test_an_ending_that_stands_for_no_form_is_refused(text, tmp_path):
    file = tmp_path / "found.pdf"
    for words in COMMANDS:
        shown = text(*words, "--output", str(file), status=2 if words[0] == "diff" else 1)
        assert "error[MF051]: the ending of `found.pdf` stands for no form of the result" in shown
        assert "`.json`" in shown
    assert not file.exists()


@pytest.mark.parametrize("words", COMMANDS[:3], ids=lambda words: words[0])
def test_the_ending_of_a_file_decides_on_its_form_unless_the_command_does(run, tmp_path, words):
    for name, options, begin in (
        ("a.XML", (), "<?xml"), ("a", ("--json",), "{"), ("a.json", ("--format", "junit"), "<?xml")
    ):  # fmt: skip
        run(*words, "--output", str(tmp_path / name), *options)
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(begin)


def test_a_folder_that_is_not_there_is_named(text, tmp_path):
    shown = text("diff", ".", GAIN, "--output", str(tmp_path / "none/x.md"), status=2)
    assert "cannot be written: there is no folder" in shown


def test_a_file_is_no_folder_and_a_folder_no_file(text, tmp_path):
    (tmp_path / "file").touch()
    shown = text("lint", "model=rnn", "--output", str(tmp_path / "file" / "x.json"), status=1)
    assert "file` is not a folder" in shown
    assert "choose another folder" in shown
    shown = text("lint", "model=rnn", "--output", str(tmp_path), status=1)
    assert "it is a folder" in shown
    assert "name a file in it" in shown


def test_a_broken_side_is_a_document_too(run):
    found = json.loads(run("diff", ".", "init.gain=many", "--format", "json", status=2).stdout)
    assert found["verdict"].startswith("cannot be compared: ")
    assert [change["kind"] for change in found["changes"]] == ["broken-side"]


def test_the_schema_accepts_what_is_printed(run, data):
    schema = json.loads(run("diff", "--schema").stdout)
    jsonschema.validate(data("diff", ".", GAIN), schema)
    assert data("diff", ".", GAIN)["format_version"] == "1.0"


def test_an_unused_acceptance_is_status_2_beside_the_review(run, repository):
    Path("conf/review.yaml").write_text("accept: [{fingerprint: 0123456789ab, reason: r, author: a}]\n")
    result = run("diff", "HEAD", status=2)
    assert "error[MF075]" in result.stderr
    assert "no semantic change" in result.stdout or "no difference" in result.stdout
