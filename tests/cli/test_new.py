"""new and schema: a project that runs at once, and what editors check its files by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.core.errors import ForgeError
from modelforge.language.schema import KINDS, schema
from modelforge.starter import SCHEMA_LINE, create


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "vision"
    create(folder)
    return folder


def test_every_file_is_listed(tmp_path):
    files = create(tmp_path / "new" / "vision")
    made = {path.relative_to(tmp_path / "new" / "vision") for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert set(files) == made
    assert {Path("train.py"), Path("tests/test_models.py"), Path("conf/config.yaml"), Path(".gitignore")} <= made


def test_it_trains_as_this_repository_does(project):
    root = Path(__file__).parents[2]
    assert (project / "train.py").read_text() == (root / "train.py").read_text()


def test_its_own_model_is_the_default(project):
    spec = mf.load(project / "conf")
    assert "stage1" in spec.layers
    assert (project / "README.md").read_text().startswith("# vision\n")


def test_the_first_line_of_a_model_leads_to_its_schema(project):
    for kind in KINDS:
        assert json.loads((project / "schema" / f"{kind}.json").read_text()) == schema(kind)
        for path in (project / "conf" / kind).glob("*.yaml"):
            line, _, rest = path.read_text().partition("\n")
            assert f"{line}\n" == SCHEMA_LINE.format(kind=kind)
            named = (path.parent / line.partition("$schema=")[2]).resolve()
            assert named == project / "schema" / f"{kind}.json"
            assert rest


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "here").mkdir()
    assert create(tmp_path / "here")


@pytest.mark.parametrize("kind", ["full", "file"])
def test_nothing_is_overwritten(tmp_path, kind):
    place = tmp_path / "there"
    kept = place / "notes.txt" if kind == "full" else place
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    with pytest.raises(ForgeError) as refused:
        create(place)
    assert [problem.code for problem in refused.value.problems] == ["MF072"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
    assert kept.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ForgeError, match="no project can be made"):
        create(tmp_path / "locked" / "vision")


def test_commands(run, tmp_path):
    made = run("new", str(tmp_path / "vision"))
    assert "train.py" in made.stdout
    assert "python train.py" in made.stdout
    assert json.loads(run("schema").stdout) == schema("model")
    assert json.loads(run("schema", "init").stdout) == schema("init")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [["train.py", "trainer.max_epochs=1"], ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]]
)
def test_it_runs_at_once(project, command):
    done = subprocess.run([sys.executable, *command], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
