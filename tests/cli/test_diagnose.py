"""diagnose: the command, its forms and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema


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
    run("diagnose", "model=rnn", "--no-measure", "--fail-on", "error", status=0)
    run("diagnose", "model=blocks", "init=constant", "--no-measure", status=0)


def test_too_many_configs_are_refused(run):
    values = ",".join(str(number / 10) for number in range(1, 10))
    result = run("diagnose", "model=rnn", "--compare", f"init.gain={values}", status=1)
    assert "`--compare` asks for 9 configs, but at most 8 fit side by side" in result.stderr


def test_the_name_of_a_file_stands_for_a_form(run, tmp_path):
    run("diagnose", "model=rnn", "--no-measure", "--output", str(tmp_path / "found.json"))
    schema = json.loads(run("diagnose", "--schema").stdout)
    jsonschema.Draft202012Validator(schema).validate(json.loads((tmp_path / "found.json").read_text(encoding="utf-8")))


CONF = ("--conf", str(Path(__file__).parents[2] / "conf"))


def test_what_is_measured_on_the_configs_own_data(run):
    found = json.loads(run("diagnose", "model=mlp", *CONF, "--data", "--batch-size", "16", "--json").stdout)["starts"][
        0
    ]
    assert found["measurement"]["data"] == "the training data"
    assert found["measurement"]["batch"] == 16
    levels = {level["path"]: level for level in found["levels"]}
    measured = levels["input"]["measured_signal"]["energy"]
    assert levels["input"]["signal"]["energy"] == 1
    assert 0.05 < measured < 0.5, "the pixels of digits have no mean of 0 and variance of 1"
    assert "choose one of --data and --no-measure" in run("diagnose", *CONF, "--data", "--no-measure", status=2).stderr


def test_data_that_does_not_fit_the_model_is_refused(run):
    said = run("diagnose", "model=mlp", "model.input={shape: [7]}", *CONF, "--data", status=1).stderr
    assert "error[MF050]: the model takes float32 (7,), but the data gives float32 (1, 8, 8)" in said


def test_the_command_of_the_docs_runs_as_it_is_written(run):
    given = ("--compare", "init=xavier_normal,kaiming_normal,torch", "--no-measure", "--json")
    starts = json.loads(run("diagnose", "model=mlp", "model.depth=30", *CONF, *given).stdout)["starts"]
    assert [start["cause"]["verdict"] for start in starts] == ["vanishes", "steady", "vanishes"]
    assert "`xavier` starts 30 layers before ReLU" in starts[0]["cause"]["sentence"], "without the head"


def test_findings_that_are_meant_are_shown_with_their_reasons(run, tmp_path):
    ignore = "+model.lint.ignore={MW120: 'to <b>show</b> it', MW123: the same, MW124: the same}"
    given = ("diagnose", "model=mlp", "model.depth=30", ignore, *CONF, "--no-measure")
    data = json.loads(run(*given, "--json").stdout)["starts"][0]
    assert data["findings"] == []
    assert (data["ignored"][0]["code"], data["ignored"][0]["reason"]) == ("MW120", "to <b>show</b> it")
    assert "MW120: to <b>show</b> it" in run(*given).stdout
    run(*given, "--output", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Ignored: 3 findings that the config declares to be meant" in page
    assert "Reason: to &lt;b&gt;show&lt;/b&gt; it" in page


def test_findings_are_those_of_lint(data):
    """What a rule says of the first loss depends on the number of classes, which the data names."""
    overrides = ("model=mlp", "init.gain=3")
    found = data("diagnose", *overrides, *CONF, "--no-measure")["starts"][0]["findings"]
    linted = data("lint", *overrides, *CONF)["linted"][0]["findings"]
    assert [finding["code"] for finding in found] == [finding["code"] for finding in linted]
    assert "MW138" in {finding["code"] for finding in found}
