"""diagnosed: the page that a run leaves about its start, and that it changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelforge.config.compose import compose
from modelforge.train.job import execute
from modelforge.train.settings import parse_settings
from tests.train.conftest import CONF, SMALL


def run(folder: Path, *overrides: str, show_plan: bool = True) -> dict[str, float]:
    every = [*SMALL, "trainer.max_epochs=1", *overrides]
    assert execute(lambda: compose(CONF, every), folder, tuple(every), show_plan=show_plan).exit_code == 0
    return json.loads((folder / "status.json").read_text(encoding="utf-8"))["metrics"]


def test_a_run_leaves_a_page_and_trains_as_without_it(tmp_path, capsys):
    config = ("model=mlp", "init=normal", "init.std=1e-5")
    assert run(tmp_path / "with", *config) == run(tmp_path / "without", *config, "diagnose=off")
    page = (tmp_path / "with" / "diagnosis.html").read_text(encoding="utf-8")
    assert "init.std=1e-5" in page
    assert "measured with 1 seed on random inputs" in page
    assert not (tmp_path / "without" / "diagnosis.html").exists()
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("diagnosis.html: The ") == 1
    assert "2 notes of the linter: MW123, MW124" in shown


def test_a_job_of_a_multirun_leaves_none(tmp_path):
    run(tmp_path, "model=mlp", show_plan=False)
    assert not (tmp_path / "diagnosis.html").exists()


@pytest.mark.parametrize(("word", "value"), [("on", True), ("off", False), (True, True), (False, False)])
def test_on_and_off_are_words_for_true_and_false(config, word, value):
    settings, problems = parse_settings({**config("model=mlp").values, "diagnose": word})
    assert problems == []
    assert settings.diagnose is value


def test_another_word_is_refused(config):
    _, problems = parse_settings({**config("model=mlp").values, "diagnose": "maybe"})
    (problem,) = problems
    assert (problem.code, problem.key) == ("MF051", "diagnose")
