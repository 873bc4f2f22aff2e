"""A project's own modules: imported once, from its folder, by every command that needs them and by no other door."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelforge.core import plugins
from modelforge.core.errors import ForgeError
from modelforge.core.plugins import load_plugins, own_module

ROOT = Path(__file__).parents[2]
COUNTED = """
print("hello")
with open("imported", "a") as file:
    file.write(".")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose plugin counts its imports; nothing of it is left in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_imported", set[str]())
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "pyproject.toml").write_text('[tool.modelforge]\nplugins = ["own_code"]\n')
    (tmp_path / "own_code").mkdir()
    (tmp_path / "own_code" / "__init__.py").write_text(COUNTED)
    loaded = {*sys.modules}
    yield tmp_path
    for name in {name for name in sys.modules if name.startswith("own_code")} - loaded:
        del sys.modules[name]


def test_a_plugin_is_imported_once_and_its_folder_is_on_the_path(project: Path, capsys):
    (project / "below").mkdir()
    assert load_plugins("below") == ("own_code",)
    assert load_plugins(project) == ("own_code",)
    assert (project / "imported").read_text() == "."
    assert sys.path.count(str(project)) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")  # standard output may be data


def test_without_plugins_nothing_changes(project: Path):
    (project / "pyproject.toml").write_text("[tool.modelforge]\n")
    before = [*sys.path]
    assert load_plugins() == ()
    (project / "pyproject.toml").unlink()
    assert load_plugins() == ()
    assert sys.path == before


def test_a_plugin_that_failed_is_imported_when_it_is_correct(project: Path):
    broken = project / "own_code" / "__init__.py"
    broken.write_text("1 / 0\n")
    with pytest.raises(ForgeError) as caught:
        load_plugins()
    (problem,) = caught.value.problems
    assert str(problem.place) == "own_code/__init__.py:1:1"
    assert problem.message == "the plugin `own_code` cannot be imported: ZeroDivisionError: division by zero"
    broken.write_text("done = True\n")
    assert load_plugins() == ("own_code",)


def test_a_failure_inside_a_library_is_shown_at_the_users_line(project: Path):
    (project / "own_code" / "__init__.py").write_text("import json\n\njson.loads('{')\n")
    with pytest.raises(ForgeError) as caught:
        load_plugins()
    assert str(caught.value.problems[0].place) == "own_code/__init__.py:3:1"


def test_a_module_that_is_missing_inside_a_plugin_is_not_the_plugin(project: Path):
    (project / "own_code" / "__init__.py").write_text("from own_code import layers\nimport own_code.inits\n")
    (project / "own_code" / "layers.py").touch()
    with pytest.raises(ForgeError) as caught:
        load_plugins()
    (problem,) = caught.value.problems
    assert problem.message.endswith("ModuleNotFoundError: No module named 'own_code.inits'")
    assert str(problem.place) == "own_code/__init__.py:2:1"


def test_a_package_below_src_is_found_as_if_it_were_installed(project: Path):
    (project / "src" / "own_code_below").mkdir(parents=True)
    (project / "src" / "own_code_below" / "__init__.py").write_text("from own_code_below import layers\n")
    (project / "src" / "own_code_below" / "layers.py").touch()
    (project / "pyproject.toml").write_text('[tool.modelforge]\nplugins = ["own_code_below.layers", "own_code"]\n')
    assert load_plugins() == ("own_code_below.layers", "own_code")
    assert sys.path[:2] == [str(project), str(project / "src")]


def test_a_slip_in_the_name_of_a_package_below_src(project: Path):
    (project / "src" / "own_code_below").mkdir(parents=True)
    (project / "src" / "own_code_below" / "__init__.py").touch()
    (project / "pyproject.toml").write_text('[tool.modelforge]\nplugins = ["own_code_bellow"]\n')
    with pytest.raises(ForgeError) as caught:
        load_plugins()
    assert caught.value.problems[0].hint == "did you mean `own_code_below` or `own_code`?"


def test_hints_name_the_key_until_it_is_used(project: Path):
    assert own_module() == ", in a module listed as `[tool.modelforge] plugins` in pyproject.toml"
    load_plugins()
    assert own_module() == ""


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from modelforge.cli import main; main()"
    if arguments[0].endswith(".py"):
        code = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    end = "\nfinally:\n  import sys; sys.stderr.write('TORCH' * ('torch' in sys.modules))"
    return subprocess.run(
        [sys.executable, "-c", f"try:\n  {code}{end}", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", ["--help", "check --help", "--version", "new made", "sweep ."])
def test_what_needs_no_model_imports_no_plugin(project: Path, words: str):
    done = command(project, *words.split())
    assert not (project / "imported").exists(), done.stderr


@pytest.mark.parametrize("flags", ["--help", "--cfg job", "model=none"])
def test_train_imports_a_plugin_when_the_config_is_composed(project: Path, flags: str):
    (project / "train.py").write_text((ROOT / "train.py").read_text())
    (project / "conf").symlink_to(ROOT / "conf")
    done = command(project, "train.py", *flags.split())
    assert done.stdout or done.stderr.startswith("error[MF001]")
    assert "TORCH" not in done.stderr
    assert not (project / "imported").exists(), done.stderr


def test_train_takes_the_plugins_beside_it_and_commands_those_of_the_working_folder(project: Path, tmp_path: Path):
    """Naming a folder of configs imports nothing that lies beside it."""
    (project / "train.py").write_text((ROOT / "train.py").read_text())
    (project / "conf").symlink_to(ROOT / "conf")
    (project / "own_code" / "__init__.py").write_text("raise ValueError('imported')\n")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    shown = command(elsewhere, "show", "model=mlp", "--conf", str(project / "conf"))
    assert shown.returncode == 0, shown.stderr
    for words in (["-m", "init.gain=1,2"], []):
        trained = command(elsewhere, str(project / "train.py"), *words)
        assert trained.returncode == 1
        assert "error[MF081]: the plugin `own_code` cannot be imported: ValueError: imported" in trained.stderr
    assert command(project, "show", "model=mlp").returncode == 1
