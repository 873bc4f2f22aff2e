"""`modelforge lint`: one config or all, what decides its status, and the forms of its findings."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

DEEP = """\
input: {shape: [16]}
layers:
  stack: {type: Repeat, times: 30, layers: {dense: {type: Linear, out_features: 16}, act: ReLU}}
  head: {type: Linear, out_features: 2}
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """Two models and two inits, one of which fits both."""
    files = {
        "config.yaml": "defaults: [_self_, {model: deep}, {init: xavier}]\nmodelforge: 1\n",
        "model/deep.yaml": DEEP,
        "model/flat.yaml": "input: {shape: [16]}\nlayers: {head: {type: Linear, out_features: 2}}\n",
        "init/xavier.yaml": "scheme: xavier\n",
        "init/kaiming.yaml": "scheme: kaiming\n",
    }
    for name, text in files.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "conf"


def test_a_finding_has_a_line_and_fails_nothing(run, conf):
    said = run("lint", "init=xavier", "--conf", str(conf)).stdout
    assert "note[MW120]: `xavier` gives `stack.*.dense.weight` (30 times) the gain 1" in said
    assert "init/xavier.yaml:1:1" in said
    assert "to read about one: modelforge list rules MW120" in said


@pytest.mark.parametrize(("least", "status"), [("note", 1), ("warning", 0), ("error", 0)])
def test_a_severity_decides_the_status(run, conf, least: str, status: int):
    run("lint", "init=xavier", "--conf", str(conf), "--fail-on", least, status=status)


def test_a_config_that_cannot_be_planned_fails(run, conf):
    assert "error[MF012]" in run("lint", "+model.layers.head.width=2", "--conf", str(conf), status=1).stdout


def test_all_configs_are_linted_without_overrides(run, conf):
    data = json.loads(run("lint", "--conf", str(conf), "--json").stdout)
    codes = {tuple(item["overrides"]): {one["code"] for one in item["findings"]} for item in data["linted"]}
    assert codes.keys() == {
        (f"model={model}", f"init={init}") for model in ("deep", "flat") for init in ("xavier", "kaiming")
    }
    assert "MW120" in codes["model=deep", "init=xavier"]
    assert codes["model=deep", "init=kaiming"] == codes["model=flat", "init=xavier"] == set()
    said = run("lint", "--conf", str(conf)).stdout
    assert "in 1 of 4 configs: model=deep init=xavier" in said


def test_configs_that_an_init_is_not_meant_for_are_named(run, conf):
    (conf / "init" / "gpt2.yaml").write_text("scheme: gpt2\n")
    alone = run("lint", "--all", "--conf", str(conf), "model=flat", "init=gpt2", status=1).stdout
    assert alone.startswith("error[MF095]: `gpt2` cannot fill head.weight")
    said = " ".join(run("lint", "--conf", str(conf)).stdout.split())
    why = "whose init counts what the model does not have"
    assert said.endswith(f"left out: 2 configs {why}: model=deep init=gpt2 and model=flat init=gpt2")
    assert "in 1 of 4 configs" in said
    data = json.loads(run("lint", "--conf", str(conf), "--json").stdout)
    assert data["left_out"] == [["model=deep", "init=gpt2"], ["model=flat", "init=gpt2"]]
    assert len(data["linted"]) == 4
    none = run("lint", "--all", "--conf", str(conf), "init=gpt2").stdout.split()
    assert " ".join(none) == f"nothing to lint left out: 2 configs {why}: model=deep and model=flat"


def test_one_rule_alone(run, conf):
    said = run("lint", "init=xavier", "--conf", str(conf), "--rule", "MW123").stdout
    assert "MW123" in said
    assert "MW120" not in said
    refused = run("lint", "--conf", str(conf), "--rule", "MW1200", "--rule", "nope", status=1).stderr
    assert "unknown lint rule `MW1200`" in refused
    assert "did you mean `MW120` or `MW132`? `modelforge list rules` prints all of them" in refused
    assert "unknown lint rule `nope`" in refused


def test_a_warning_of_planning_by_its_code(run, conf):
    (conf / "model" / "aside.yaml").write_text(
        "input: {shape: [4]}\nlayers: {aside: {type: Linear, out_features: 2}, "
        "head: {type: Linear, out_features: 2, inputs: input}}\n"
    )
    said = run("lint", "model=aside", "--conf", str(conf), "--rule", "MW104").stdout
    assert "warning[MW104]: nothing reads the output of `aside`" in said
    assert "nothing found by 1 rule" in run("lint", "model=flat", "--conf", str(conf), "--rule", "MW104").stdout


def test_only_configs_that_read_a_changed_file(run, conf):
    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        subprocess.run(["git", *identity, *words], cwd=conf.parent, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "before")
    said = run("lint", "--conf", str(conf), "--changed-only").stdout
    assert "nothing to lint: no config reads a file that differs from `HEAD`" in said
    (conf / "init" / "xavier.yaml").write_text("scheme: xavier\ngain: 1.1\n")
    data = json.loads(run("lint", "--conf", str(conf), "--changed-only", "--json").stdout)
    assert [one["overrides"] for one in data["linted"]] == [
        ["model=deep", "init=xavier"],
        ["model=flat", "init=xavier"],
    ]
    git("commit", "-q", "-a", "-m", "after")
    assert "nothing to lint" in run("lint", "--conf", str(conf), "--changed-only").stdout
    base = run("lint", "--conf", str(conf), "--changed-only", "--base-ref", "HEAD~1", "--json").stdout
    assert len(json.loads(base)["linted"]) == 2


def test_what_is_meant_is_counted(run, conf):
    ignore = "+model.lint.ignore={MW120: shown, MW123: shown, MW124: shown}"
    said = run("lint", "init=xavier", ignore, "--conf", str(conf)).stdout
    assert said.strip() == "3 ignored"
    data = json.loads(run("lint", "init=xavier", ignore, "--conf", str(conf), "--json").stdout)
    assert {one["reason"] for one in data["linted"][0]["ignored"]} == {"shown"}


def test_an_entry_that_another_config_needs_is_not_idle(run, conf):
    (conf / "model" / "deep.yaml").write_text(f"{DEEP}lint: {{ignore: {{MW120: shown, MW129: of no use}}}}\n")
    said = run("lint", "--conf", str(conf)).stdout
    assert "`MW129` is ignored, but not found" in said
    assert "`MW120` is ignored, but not found" not in said
    assert "`MW120` is ignored, but not found" in run("lint", "init=kaiming", "model=deep", "--conf", str(conf)).stdout


@pytest.mark.parametrize("form", ["github", "gitlab", "sarif", "junit"])
def test_other_tools_read_the_findings(run, conf, tmp_path: Path, form: str):
    output = tmp_path / "findings"
    run("lint", "--conf", str(conf), "--format", form, "--output", str(output))
    text = output.read_text()
    assert "MW120" in text
    if form == "sarif":
        [log] = json.loads(text)["runs"]
        assert {one["level"] for one in log["results"]} == {"note"}
        assert {
            "id": "MW120",
            "shortDescription": {"text": "weights without the gain of their activation, in depth"},
        } in log["tool"]["driver"]["rules"]
