"""The tutorial on tables, run from its first line to its last."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import modelforge as mf
from modelforge.cli.app import app
from modelforge.config.compose import compose
from modelforge.train.job import Result, execute
from tests.train.conftest import CONF

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial-tables.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, flags=re.DOTALL)
QUIET = ("trainer.max_epochs=6", "logger=csv", "trainer.enable_progress_bar=false")


def trained(overrides: list[str], conf: Path) -> Result:
    folder = next((Path(one.partition("=")[2]) for one in overrides if one.startswith("hydra.run.dir=")), Path("run"))
    return execute(lambda: compose(conf, [*QUIET, *overrides]), folder, tuple(overrides), show_plan=False)


@pytest.mark.slow
def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CONF, "conf")
    names: dict[str, object] = {"mf": mf}
    said = ""
    for kind, text in BLOCKS:
        if kind == "python":
            exec(text, names)
        elif kind == "yaml":
            Path(text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")
        elif kind == "":
            assert text.strip() in said
        for line in text.splitlines() if kind == "sh" else ():
            command = shlex.split(line)
            if command[:2] == ["python", "train.py"]:
                result = trained(command[2:], tmp_path / "conf")
                said = "\n".join(str(problem.get("hint", "")) for problem in result.status.error)
                assert (result.exit_code == 0) == ("hydra.run.dir" in line), result.status.error
            else:
                called = CliRunner().invoke(app, command[1:])
                assert called.exit_code == 0, called.output
    with open("predictions.csv", newline="") as file:
        assert {row["prediction"] for row in csv.DictReader(file)} <= {"yes", "no"}
    rentals = json.loads(Path("next_week.json").read_text())["rentals"]
    assert len(rentals) == 7
    assert all(100 < number < 900 for number in rentals)
    assert len(Path("embedded.csv").read_text().splitlines()) == 11
