"""docs/extending.md is a project: its blocks are the files, and every command knows what they register."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelforge as mf
from modelforge.starter import create

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```\w+\n# (\S+\.\w+)\n(.*?)```", PAGE, flags=re.DOTALL))
OWN = ["data=rings", "model.layers.act1=ScaledTanh", "model.layers.head.init=toeplitz"]
COMMANDS = {
    "check": ["check", *OWN, "--json"],
    "show": ["show", *OWN, "--json"],
    "explain": ["explain", "head.weight", *OWN, "--json"],
    "schema": ["schema", "model"],
    "schema of inits": ["schema", "init"],
    "layers": ["list", "layers", "ScaledTanh", "--json"],
    "inits": ["list", "inits", "toeplitz", "--json"],
    "diff": ["diff", ".", " ".join(OWN), "--json"],
    "diff with HEAD": ["diff", "HEAD", "--json"],
    "diff of revisions": ["diff", "HEAD..HEAD", "--json"],
}
RUN = """
import json, sys
from typer.testing import CliRunner
from modelforge.cli.app import app
done = {name: CliRunner().invoke(app, words) for name, words in json.loads(sys.argv[1]).items()}
print(json.dumps({name: [one.exit_code, one.stdout, one.stderr] for name, one in done.items()}))
"""
MODEL = "conf/model/my_model.yaml"


def test_the_page_names_all_that_can_be_registered():
    table = [line for line in PAGE.splitlines() if line.startswith("|")]
    named = {name for line in table for name in re.findall(r"`mf\.(register_\w+)`", line)}
    assert named == {name for name in mf.__all__ if name.startswith("register_")}


def python(project: Path, *arguments: str) -> str:
    """What Python prints in the project."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project with the files of the page; its model uses the layer of one's own."""
    folder = tmp_path_factory.mktemp("own") / "my_project"
    create(folder)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    model = (folder / MODEL).read_text(encoding="utf-8")
    (folder / MODEL).write_text(model.replace("act2: GELU", "act2: ScaledTanh"), encoding="utf-8")
    git = ["git", "-c", "user.name=tester", "-c", "user.email=tester@example.com"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=one"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    (folder / MODEL).write_text(model.replace("act2: GELU", "act2: Tanh"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def said(project: Path) -> dict[str, tuple[int, str, str]]:
    """The exit status, output and errors of each command, all called in one process."""
    return json.loads(python(project, "-c", RUN, json.dumps(COMMANDS)))


def answer(said: dict[str, Any], name: str) -> Any:
    status, out, err = said[name]
    assert status == 0, out + err
    return json.loads(out)


def test_the_page_begins_with_the_files_of_a_new_project(tmp_path: Path):
    create(tmp_path / "my_project")
    for name in ("my_project/layers.py", "my_project/inits.py"):
        assert (tmp_path / "my_project" / name).read_text(encoding="utf-8") == FILES[name]
    assert FILES["pyproject.toml"] in (tmp_path / "my_project" / "pyproject.toml").read_text(encoding="utf-8")


def test_check_plans_them_with_the_settings_of_the_training(said):
    (finding,) = answer(said, "check")["checked"]
    assert (finding["ok"], finding["problems"], finding["note"]) == (True, [], "")


def test_show_and_explain_know_layer_initializer_and_data(said):
    shown = answer(said, "show")
    assert shown["inputs"]["input"]["shape"] == [2]
    assert {layer["path"]: layer["type"] for layer in shown["layers"]}["act1"] == "ScaledTanh"
    assert '"toeplitz"' in said["explain"][1]


def test_schemas_and_lists_have_them(said):
    assert "ScaledTanh" in said["schema"][1]
    assert "toeplitz" in said["schema of inits"][1]
    assert answer(said, "layers")["summary"] == "tanh with a learned scale per feature."
    assert answer(said, "inits")["formula"] == "w[i, j] = std * z[i - j]"


def test_diff_knows_them_where_the_working_tree_is_a_side(said):
    assert "act1" in effects(answer(said, "diff"))
    assert {"act1", "act2"} & effects(answer(said, "diff with HEAD")) == {"act2"}


def effects(document: dict[str, Any]) -> set[str]:
    """The names of all that the changes of a review lead to."""
    return {row["name"] for change in document["changes"] for row in change["effects"]}


def test_revisions_are_compared_without_the_plugins(project: Path):
    """In a process of its own, where nothing has imported them."""
    words = {"diff": COMMANDS["diff of revisions"]}
    status, out, _ = json.loads(python(project, "-c", RUN, json.dumps(words)))["diff"]
    assert status == 2
    assert json.loads(out)["verdict"]
    assert "MF010" in out
    assert "compared without the project's plugins: `modelforge diff HEAD` has them" in out


def test_train_runs_the_command_of_the_page_and_its_run_predicts(project: Path):
    (command,) = re.findall(r"^python (train\.py .*)$", PAGE.replace("\\\n", ""), flags=re.MULTILINE)
    out = python(project, *command.split(), "trainer.max_epochs=2", "hydra.run.dir=run", "logger=csv")
    assert out.startswith("model=my_model init=xavier_uniform data=rings seed=0  ·  run\n")
    status = json.loads((project / "run" / "status.json").read_text())
    assert status["state"] == "finished"
    assert {"val/accuracy", "test/accuracy", "test/confidence", "test/loss"} <= {*status["metrics"]}
    header, *_ = (project / "run" / "metrics.csv").read_text().splitlines()
    assert "val/confidence" in header
    assert "train/weight_norm" in header
    ledger = json.loads((project / "run" / "ledger.json").read_text())
    assert [row["scheme"] for row in ledger["parameters"] if row["path"] == "head.weight"] == ["toeplitz"]
    points = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, -3.0]], np.float32)
    np.save(project / "points.npy", points)
    words = {"predict": ["predict", "run", "points.npy", "--json"], "evaluate": ["evaluate", "run", "--json"]}
    after = json.loads(python(project, "-c", RUN, json.dumps(words)))
    predicted = answer(after, "predict")
    assert len(predicted["prediction"]) == 3
    assert {*predicted["prediction"]} <= {0, 1, 2}
    metrics = json.dumps(answer(after, "evaluate"))
    assert "accuracy" in metrics
    assert "confidence" in metrics
