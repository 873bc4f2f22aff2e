"""Where a project's settings are found, and which plugins they name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.core.project import find_project

TABLE = '[tool.modelforge]\nplugins = ["one", "two.three"]\n'


def problem(folder: Path) -> tuple[str, str, str]:
    """The first problem with the settings of a folder: message, hint and place."""
    with pytest.raises(ForgeError) as caught:
        find_project(folder)
    (first, *_) = caught.value.problems
    assert first.code == "MF083"
    return first.message, first.hint, str(first.place)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below" / "further").mkdir(parents=True)
    return tmp_path


def test_the_nearest_file_with_a_table_counts(folder: Path):
    (folder / "pyproject.toml").write_text(TABLE)
    (folder / "below" / "pyproject.toml").write_text("[tool.ruff]\nline-length = 99  # not for modelforge\n")
    project = find_project(folder / "below" / "further")
    assert project is not None
    assert (project.folder, project.plugins) == (folder, ("one", "two.three"))
    (folder / "below" / "pyproject.toml").write_text("[tool.modelforge]\n")
    nearer = find_project(folder / "below" / "further")
    assert nearer is not None
    assert (nearer.folder, nearer.plugins) == (folder / "below", ())


@pytest.mark.parametrize(
    "text",
    [
        'tool.modelforge.plugins = ["one"]',
        '[tool."modelforge"]\nplugins = ["one"]',
        'tool = {modelforge = {plugins = ["one"]}}',
        '[tool.modelforge]\nplugins = [\n  # "none",\n  "one",\n]\n',
    ],
)
def test_toml_has_many_ways_to_say_it(folder: Path, text: str):
    (folder / "pyproject.toml").write_text(text)
    project = find_project()
    assert project is not None
    assert project.plugins == ("one",)


def test_a_broken_file_that_does_not_name_modelforge_is_passed_over(folder: Path):
    (folder / "pyproject.toml").write_text("[tool.ruff")
    assert find_project(folder / "below") is None


def test_a_folder_link_is_followed(folder: Path):
    (folder / "below" / "pyproject.toml").write_text(TABLE)
    (folder / "link").symlink_to(folder / "below")
    project = find_project("link")
    assert project is not None
    assert project.folder == folder / "below"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives a file away")
@pytest.mark.parametrize("given", ["pyproject.toml", "."])
def test_a_file_of_another_owner_above_is_not_read(folder: Path, given: str):
    (folder / "pyproject.toml").write_text(TABLE)
    assert find_project(folder / "below") is not None
    os.chown(folder / given, 12345, -1)
    assert find_project(folder / "below") is None


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("tool.modelforge = 3", "`tool.modelforge` must be a table, but is 3", "pyproject.toml:1:6"),
        ("[tool.modelforge]\nplugin = []", "`[tool.modelforge]` has no key `plugin`", "pyproject.toml:2:1"),
        (
            "[tool.modelforge]\nplugins = {}",
            "`plugins` must be a list of names, but is {}",
            "pyproject.toml:2:1",
        ),
        (
            "[tool.modelforge\n",
            "`pyproject.toml` is not valid TOML: Expected ']' at the end of a table declaration",
            "1:17",
        ),
        ('[tool.modelforge]\nplugins = [".x"]', "a plugin must be the name of a module, but is '.x'", "2:13"),
        ('[tool.modelforge]\nplugins = [""]', "a plugin must be the name of a module, but is ''", "2:1"),
        ("[tool.modelforge]\nplugins = [['a']]", "a plugin must be the name of a module, but is ['a']", "2:12"),
    ],
)
def test_what_is_wrong_is_a_problem_with_its_place(folder: Path, text: str, message: str, place: str):
    (folder / "pyproject.toml").write_text(text)
    said, _, where = problem(folder)
    assert said == message
    assert where.endswith(place)


def test_a_file_that_cannot_be_read_is_a_problem(folder: Path):
    (folder / "pyproject.toml").write_bytes(b"[tool.modelforge]\n\xff")
    assert problem(folder)[0].startswith("`pyproject.toml` cannot be read: ")
    (folder / "pyproject.toml").unlink()
    (folder / "pyproject.toml").mkdir()
    assert problem(folder)[0] == "`pyproject.toml` cannot be read: it is a folder, not a file"
