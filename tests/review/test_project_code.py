"""Code of a project's plugins: that it differs is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelforge.review.documented import documented
from modelforge.review.pair import open_sides
from tests.review.trees import review


@pytest.mark.parametrize("place", ["mine/layers.py", "src/mine/layers.py", "mine.py"])
@pytest.mark.parametrize("sides", [("HEAD~1", "HEAD"), ("HEAD~1...HEAD", None), ("HEAD~1:conf", ".")])
def test_a_module_that_differs_is_no_silence(
    trees: Path, git: Callable[..., str], place: str, sides: tuple[str, str | None]
):
    Path("pyproject.toml").write_text('[tool.modelforge]\nplugins = ["mine.layers"]\n', encoding="utf-8")
    for path in (place, "other.py"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("x = 1\n", encoding="utf-8")
        git("add", ".")
        git("commit", "--quiet", f"--message={path}")
    Path(place).write_text("x = 2\n", encoding="utf-8")
    git("commit", "--quiet", "--all", "--message=more")
    document = documented(review(*sides))
    assert not document.equal
    assert [(one.kind, one.title) for one in document.changes] == [
        ("file-not-compared", f"{place}: code of the project's plugins: what it does is not compared")
    ]
    assert [one.name for one in document.not_compared] == [place]
    assert document.verdict == "no composition differs, but 1 changed file not compared"
    assert document.compared.num_changed_files == 0, "the module is none of the configs that are counted"


def test_a_module_that_git_does_not_know_yet(trees: Path, git: Callable[..., str]):
    Path("pyproject.toml").write_text('[tool.modelforge]\nplugins = ["mine"]\n', encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "--message=two")
    for path in ("mine/layers.py", "mine/notes.txt", "other.py"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("x = 1\n", encoding="utf-8")
    with open_sides("HEAD", ".", None, ()) as pair:
        assert pair.code == ("mine/layers.py",)
    git("commit", "--quiet", "--allow-empty", "--message=three")
    with open_sides("HEAD~1", "HEAD", None, ()) as pair:
        assert pair.code == ()


@pytest.mark.parametrize("below", ["", "mine"])
def test_another_list_of_plugins_is_no_silence(
    trees: Path, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch, below: str
):
    Path("mine").mkdir()
    Path("mine/layers.py").write_text("x = 1\n", encoding="utf-8")
    for plugins in (["mine.layers"], ["others"], []):
        Path("pyproject.toml").write_text(f"[tool.modelforge]\nplugins = {plugins}\n", encoding="utf-8")
        git("add", ".")
        git("commit", "--quiet", f"--message={plugins}")
    monkeypatch.chdir(trees / below)
    document = documented(review("HEAD~2", "HEAD~1"))
    assert not document.equal
    assert [one.title for one in document.changes] == [
        "pyproject.toml: it names other plugins: what they do is not compared"
    ]
    with open_sides("HEAD~2", ".", None, ()) as pair:
        assert pair.code == ("pyproject.toml",)


def test_a_plugin_that_is_gone_is_no_silence(trees: Path, git: Callable[..., str]):
    Path("mine.py").write_text("x = 1\n", encoding="utf-8")
    Path("pyproject.toml").write_text('[tool.modelforge]\nplugins = ["mine"]\n', encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "--message=two")
    Path("mine.py").unlink()
    Path("pyproject.toml").unlink()
    git("commit", "--quiet", "--all", "--message=three")
    with open_sides("HEAD~1", "HEAD", None, ()) as pair:
        assert pair.code == ("pyproject.toml", "mine.py")


def test_code_beside_the_plugins_is_not_mentioned(trees: Path, git: Callable[..., str]):
    Path("train.py").write_text("x = 1\n", encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "--message=two")
    with open_sides("HEAD~1", "HEAD", None, ()) as pair:
        assert pair.code == ()


@pytest.mark.parametrize("here", [".", "..", "part"])
def test_the_project_of_the_config_folder_counts_wherever_one_stands(
    trees: Path, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch, here: str
):
    shutil.copytree("conf", "part/conf")
    for text in ("x = 1\n", "x = 2\n"):
        Path("part/pyproject.toml").write_text('[tool.modelforge]\nplugins = ["mine"]\n', encoding="utf-8")
        Path("part/mine.py").write_text(text, encoding="utf-8")
        git("add", ".")
        git("commit", "--quiet", "--message=more")
    monkeypatch.chdir(trees / here)
    with open_sides("HEAD~1", "HEAD", trees / "part/conf", ()) as pair:
        assert pair.code == ("part/mine.py",)
