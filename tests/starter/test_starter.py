"""A starter project: whole or not at all, nothing overwritten, and every command of its README runs."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.config.compose import compose
from modelforge.core import plugins
from modelforge.core.errors import ForgeError
from modelforge.core.plugins import load_plugins
from modelforge.inits.registry import unregister_initializer
from modelforge.layers.register import unregister_layer
from modelforge.starter import create, package_of
from modelforge.train.prepare import prepare
from modelforge.train.schema import KINDS


@pytest.fixture
def own_code(monkeypatch):
    """Nothing of a project's package is left in this process."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(plugins, "_imported", set())
    loaded = {*sys.modules}
    yield
    for name in {name for name in sys.modules if name.partition(".")[0] == "vision"} - loaded:
        del sys.modules[name]
    unregister_layer("ScaledTanh")
    unregister_initializer("toeplitz")


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "vision"
    create(folder)
    return folder


def test_every_file_is_listed(tmp_path):
    files = create(tmp_path / "new" / "vision").files
    made = {path.relative_to(tmp_path / "new" / "vision") for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert set(files) == made
    assert {Path("train.py"), Path("tests/test_models.py"), Path("conf/config.yaml"), Path(".gitignore")} <= made
    assert {Path("pyproject.toml"), Path("vision/__init__.py"), Path("vision/layers.py")} <= made


def test_it_trains_as_this_repository_does(project):
    root = Path(__file__).parents[2]
    assert (project / "train.py").read_text() == (root / "train.py").read_text()


def test_its_own_model_is_the_default(project):
    spec = mf.load(project / "conf")
    assert "hidden1" in spec.layers
    assert (project / "README.md").read_text().startswith("# vision\n")


def test_every_experiment_names_its_model(project):
    folder = project / "conf" / "experiment"
    names = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    assert "gallery/symmetry" in names
    for name in names:
        mf.plan(mf.load(project / "conf", [f"experiment={name}"]))


def test_the_first_line_of_a_model_leads_to_its_schema(project):
    paths = [*(project / "conf").rglob("*.yaml")]
    assert project / "conf" / "model" / "my_model.yaml" in paths
    for path in paths:
        group = path.parent.relative_to(project / "conf").as_posix()
        line = path.read_text().removeprefix("# @package _global_\n").partition("\n")[0]
        assert line.startswith("# yaml-language-server: $schema=")
        named = (path.parent / line.partition("=")[2]).resolve()
        kind = group if group in KINDS else "config"
        assert named == project / "conf" / ".schema" / f"{kind}.json"
        assert json.loads(named.read_text())["title"]


@pytest.mark.parametrize("named", [".", "{}", "{}/", "../{name}", "../link", "below/.."])
def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path, monkeypatch, named):
    folder = tmp_path / "here"
    folder.mkdir(mode=0o750)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    before = folder.stat()
    if named.startswith("below"):
        (folder / ".below").mkdir()
        named = ".below/.."
    assert Path("train.py") in create(Path(named.format(folder, name=folder.name))).files
    assert (folder.stat().st_ino, folder.stat().st_mode) == (before.st_ino, before.st_mode)
    assert Path("train.py").is_file()
    assert (folder / "here" / "layers.py").is_file()  # the package has the folder's name, however that was written
    assert not [*folder.glob(".new-*")]


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("place", ["empty", "deep/new/folder"])
def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, step, place):
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    calls = itertools.count(1)
    rename = Path.rename

    def interrupted(self, target):
        if next(calls) == step:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create(tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_package_is_never_one_that_exists(tmp_path):
    assert [package_of(name) for name in ("conf", "runs", "numpy", "json", "été", "a-b.c", "---", "None")] == [
        *("my_conf", "my_runs", "my_numpy", "my_json", "été", "a_b_c", "project", "none")
    ]
    create(tmp_path / "torch")
    assert 'plugins = ["my_torch"]' in (tmp_path / "torch" / "pyproject.toml").read_text()
    assert (tmp_path / "torch" / "my_torch" / "layers.py").is_file()


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


def commands_of(project: Path) -> list[list[str]]:
    """What the README says to run with train.py, each with fewer epochs."""
    text = (project / "README.md").read_text()
    lines = [line.partition("   #")[0] for line in text.splitlines() if line.startswith("python train.py")]
    return [[*shlex.split(line)[1:], "trainer.max_epochs=1"] for line in lines]


@pytest.mark.slow
def test_every_command_of_the_readme_runs(project):
    rows = [f"{row % 7},{row % 5},{row / 9:.2f},{row % 11},{'abc'[row % 3]}" for row in range(90)]
    (project / "iris.csv").write_text("\n".join(["a,b,c,d,species", *rows]))
    commands = [*commands_of(project), ["-m", "pytest", "-q", "-p", "no:cacheprovider"]]
    assert len(commands) == 6
    for command in commands:
        done = subprocess.run([sys.executable, *command], cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout + done.stderr)


def test_the_commands_of_the_readme_fit_the_model_of_the_project(project, own_code):
    """Without training: the model of the project takes the data that each of them names."""
    load_plugins(project)
    commands = commands_of(project)
    assert len(commands) == 5
    for _, *overrides in commands:
        jobs = [override for override in overrides if override != "-m" and "," not in override]
        prepare(compose(project / "conf", jobs))
