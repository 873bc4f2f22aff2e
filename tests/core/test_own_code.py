"""The digest of the modules that a project names as plugins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelforge.core import own_code, plugins
from modelforge.core.own_code import code_digest
from modelforge.core.plugins import load_plugins


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a plugin in a package, and one in a module; nothing of it is left in this process."""
    monkeypatch.setattr(plugins, "_imported", set[str]())
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "pyproject.toml").write_text('[tool.modelforge]\nplugins = ["own_package.layers", "own_module"]\n')
    for name in ("own_package/__init__.py", "own_package/layers.py", "own_package/below/helpers.py", "own_module.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    yield tmp_path
    own_code._digest.cache_clear()
    for name in [name for name in sys.modules if name.startswith(("own_package", "own_module"))]:
        del sys.modules[name]


def fresh() -> str | None:
    """As another process would find it."""
    own_code._digest.cache_clear()
    return code_digest()


@pytest.mark.parametrize("name", ["own_package/layers.py", "own_package/below/helpers.py", "own_module.py"])
def test_it_is_another_one_after_any_change(project: Path, name: str):
    load_plugins(project)
    before = fresh()
    assert before is not None
    assert fresh() == before
    text = (project / name).read_text()
    (project / name).write_text(f"{text}# changed\n")
    assert code_digest() == before, "the modules of this process are those that it imported"
    assert fresh() not in (None, before)
    (project / name).write_text(text)
    assert fresh() == before


def test_the_name_of_a_file_counts_and_other_files_do_not(project: Path):
    load_plugins(project)
    before = fresh()
    (project / "own_package" / "notes.txt").write_text("other")
    (project / "own_package" / ".hidden").mkdir()
    (project / "own_package" / ".hidden" / "copy.py").write_text("other")
    (project / "elsewhere.py").write_text("other")
    assert fresh() == before
    (project / "own_package" / "layers.py").rename(project / "own_package" / "others.py")
    assert fresh() != before


def test_a_process_without_plugins_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plugins, "_imported", set[str]())
    assert code_digest() is None
