"""Copies of strangers' folders: what is copied, and which folders are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.config.snapshot import snapshot
from modelforge.core.errors import ForgeError
from tests.config.strangers import corpus, project

FOLDERS = {name: case for name, case in corpus().items() if name.startswith("_")}


@pytest.mark.parametrize("name", [name for name, case in FOLDERS.items() if case.codes & {"MF007", "MF008"}])
def test_a_folder_that_is_refused(tmp_path: Path, name: str):
    FOLDERS[name].make(tmp_path)
    with pytest.raises(ForgeError) as caught:
        snapshot(tmp_path / "conf", tmp_path / "copy", "conf")
    text = str(caught.value)
    assert {problem.code for problem in caught.value.problems} & FOLDERS[name].codes
    assert "hunter2" not in text
    assert str(tmp_path) not in text
    assert text.isascii() or text.isprintable() or "caf" in text


def test_only_config_files_are_copied(tmp_path: Path):
    files = {"README.md": "x", "a.yml": "", ".hidden.yaml": "", ".git/config.yaml": "", "__init__.py": "", "B.YAML": ""}
    project(tmp_path, files)
    snapshot(tmp_path / "conf", tmp_path / "copy", "conf")
    copied = {path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*.*")}
    assert copied == {"config.yaml", "model/evil.yaml", "init/zeros.yaml", "a.yml", "B.YAML"}


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path):
    project(tmp_path, {"model/a\u202e.yaml": "", "b" * 220 + ".yaml": "", "c.yaml": "#" * 4_000_001})
    (tmp_path / "conf/link.yaml").symlink_to("config.yaml")
    with pytest.raises(ForgeError) as caught:
        snapshot(tmp_path / "conf", tmp_path / "copy", "conf")
    assert [problem.code for problem in caught.value.problems] == ["MF060", "MF060", "MF008", "MF007"]


def test_the_text_of_a_link(tmp_path: Path, fails):
    project(tmp_path, {})
    (tmp_path / "conf/data.yaml").symlink_to(tmp_path / "secret.yaml")
    fails(
        lambda: snapshot(tmp_path / "conf", tmp_path / "copy", "conf"),
        """
        error[MF008]: `conf/data.yaml` is a link
          --> conf/data.yaml:1
           = help: put the file itself there: links are not followed
        """,
    )


def test_a_file_that_has_become_a_link_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project(tmp_path, {})
    monkeypatch.setattr("modelforge.config.snapshot.stat.S_ISLNK", lambda mode: False)
    monkeypatch.setattr("modelforge.config.snapshot.kind_of", lambda mode: "")
    (tmp_path / "conf/data.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(ForgeError, match="symbolic links"):
        snapshot(tmp_path / "conf", tmp_path / "copy", "conf")
    assert not (tmp_path / "copy/data.yaml").exists()
