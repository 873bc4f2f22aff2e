"""check --changed-only: the configs that read a file that differs from a revision."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_nothing_differs(data, text, repository):
    assert data("check", "--changed-only") == {"ok": True, "checked": []}
    assert text("check", "--changed-only") == "nothing to check: no config reads a file that differs from `HEAD`"


def test_a_changed_model_is_checked_with_every_init(data, repository):
    path = repository / "conf/model/blocks.yaml"
    path.write_text(path.read_text().replace("times: 3", "times: 4"))
    checked = data("check", "--changed-only")["checked"]
    assert checked
    assert all("model=blocks" in item["overrides"] for item in checked)


def test_formatting_is_no_change(data, repository):
    path = repository / "conf/model/blocks.yaml"
    path.write_text(f"# same\n{path.read_text()}")
    assert data("check", "--changed-only")["checked"] == []


def test_since_another_revision(data, repository):
    checked = data("check", "--changed-only", "--base-ref", "HEAD~1")["checked"]
    assert checked
    assert all("init=orthogonal" in item["overrides"] for item in checked)


def test_a_broken_file_is_found(text, repository):
    Path("conf/model/blocks.yaml").write_text("input: {shape: [4]}\nlayers: {a: {type: Linear, out_features: many}}\n")
    shown = text("check", "--changed-only", "--format", "github", status=1)
    assert "::error file=conf/model/blocks.yaml,line=2" in shown
    assert "title=MF014" in shown


def test_a_revision_that_is_unknown(text, repository):
    assert "MF070" in text("check", "--changed-only", "--base-ref", "nowhere", status=1)


def test_findings_in_a_file(text, repository):
    assert text("check", "model=rnn", "--format", "sarif", "--output", "found.sarif") == "1 checked: found.sarif"
    assert '"version": "2.1.0"' in Path("found.sarif").read_text()
    assert "there is no folder" in text("check", "model=rnn", "--output", "none/found.txt", status=1)


@pytest.mark.parametrize("command", ["check", "lint"])
@pytest.mark.parametrize("conf", ["{}/conf", "./conf/", "conf/../conf", "../{0.name}/conf"])
def test_whatever_the_folder_is_called(data, repository, command: str, conf: str):
    path = repository / "conf/model/blocks.yaml"
    path.write_text(path.read_text().replace("times: 3", "times: 4"))
    found = data(command, "model=blocks", "--changed-only", "--conf", conf.format(repository))
    assert len(found["checked" if command == "check" else "linted"]) == 1


def test_the_configs_that_come_with_modelforge_have_no_revision(text, repository, monkeypatch):
    monkeypatch.chdir(repository / "conf" / "model")
    assert "there is no `conf/config.yaml` here" in text("check", "seed=1", "--changed-only", status=1)
