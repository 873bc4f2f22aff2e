"""`modelforge gallery`: what it prints, writes and exits with."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from modelforge.cli.app import app
from tests.gallery.networks import folder

FORWARD = {"quantity": {"type": "forward", "at": "act"}, "of": "here", "reason": "by hand"}


def call(*arguments, status=0):
    found = CliRunner().invoke(app, ["gallery", *map(str, arguments)], env={"COLUMNS": "120"})
    assert found.exit_code == status, found.output
    return found


@pytest.mark.parametrize(("at_most", "status"), [(100.0, 0), (0.001, 1)])
def test_a_number_that_does_not_hold_gives_status_1(tmp_path, at_most, status):
    conf = folder(tmp_path, {"expect": [{**FORWARD, "at_most": at_most}]})
    text = call("small", "--conf", conf, "--seed", 0, "--seed", 1, status=status).stdout
    assert f"claims that hold: {1 - status} of 1" in text
    data = json.loads(call("--conf", conf, "--format", "json", status=status).stdout)
    assert data["claims"][0]["ok"] is not bool(status)
    assert len(data["claims"][0]["verdicts"][0]["values"]) == 1


def test_a_page_with_pictures_is_written(tmp_path):
    conf = folder(tmp_path, {"expect": [{**FORWARD, "at_most": 9.0}], "pictures": [{"type": "forward", "at": "*"}]})
    page, images = tmp_path / "gallery.md", tmp_path / "images"
    images.mkdir()
    call("--conf", conf, "--format", "markdown", "--output", page, "--pictures", images)
    assert [path.name for path in images.iterdir()] == ["gallery_small_1.svg"]
    assert "](images/gallery_small_1.svg)" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("ending", "start"), [("html", "<!doctype html>"), ("md", "# The gallery"), ("JSON", "{")])
def test_the_ending_of_a_file_decides_on_its_form(tmp_path, ending, start):
    conf, file = folder(tmp_path, {"expect": [{**FORWARD, "at_most": 9.0}]}), tmp_path / f"found.{ending}"
    call("--conf", conf, "--output", file, "--seed", 0)
    assert file.read_text(encoding="utf-8").startswith(start)


def test_an_ending_that_stands_for_no_form_is_refused(tmp_path):
    found = call("--conf", folder(tmp_path), "--output", tmp_path / "found.pdf", status=1)
    assert "error[MF051]: the ending of `found.pdf` stands for no form of the result" in found.output
    assert "choose one of `.html`, `.json`, `.md`, `.txt`, or name the form: `--format text`" in found.output
    assert not (tmp_path / "found.pdf").exists()


@pytest.mark.parametrize(("option", "place"), [("--output", "none/page.md"), ("--output", ""), ("--pictures", "none")])
def test_a_place_that_cannot_be_written_is_named_before_anything_is_measured(tmp_path, monkeypatch, option, place):
    monkeypatch.setattr("modelforge.cli.gallery.measure", lambda *_, **__: pytest.fail("measured"))
    found = CliRunner().invoke(app, ["gallery", "--conf", str(folder(tmp_path)), option, str(tmp_path / place)])
    assert isinstance(found.exception, SystemExit), found.exception
    assert "cannot be written: " in found.output


def test_claims_are_listed(tmp_path):
    conf = folder(tmp_path)
    assert "Why?" in call("--list", "--conf", conf).stdout
    assert json.loads(call("--list", "--conf", conf, "--json").stdout)["claims"][0]["name"] == "small"
    refused = call("--list", "--seed", -1, "--conf", conf, status=2).stderr
    assert "--list prints all claims" in refused
    assert "as text or JSON" in call("--list", "--format", "html", "--conf", conf, status=2).stderr
