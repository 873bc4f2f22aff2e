"""diagnose: the command, its forms and its exit status."""

from __future__ import annotations

import json

import jsonschema

from modelforge.cli.diagnose import SUFFIXES


def test_one_config(text):
    shown = text("diagnose", "model=rnn", "--no-measure")
    assert shown.startswith("Nothing vanishes or explodes")
    assert "not measured" in shown


def test_values_side_by_side(data):
    found = data("diagnose", "model=blocks", "--no-measure", "--compare", "init=orthogonal,constant")
    assert [start["label"] for start in found["starts"]] == ["init=orthogonal", "init=constant"]
    assert found["title"] == "model=blocks"


def test_the_status_is_1_where_a_finding_is_severe(run):
    run("diagnose", "model=blocks", "init=constant", "--no-measure", "--fail-on", "warning", status=1)
    run("diagnose", "model=rnn", "--no-measure", "--fail-on", "note", status=0)
    run("diagnose", "model=blocks", "init=constant", "--no-measure", status=0)


def test_too_many_configs_are_refused(run):
    values = ",".join(str(number / 10) for number in range(1, 10))
    result = run("diagnose", "model=rnn", "--compare", f"init.gain={values}", status=1)
    assert "`--compare` asks for 9 configs, but at most 8 fit side by side" in result.stderr


def test_the_name_of_a_file_stands_for_a_form(run, tmp_path):
    run("diagnose", "model=rnn", "--no-measure", "--output", str(tmp_path / "found.json"))
    schema = json.loads(run("diagnose", "--schema").stdout)
    jsonschema.Draft202012Validator(schema).validate(json.loads((tmp_path / "found.json").read_text(encoding="utf-8")))
    assert set(SUFFIXES) == {".html", ".json", ".md", ".png"}
