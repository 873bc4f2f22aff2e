"""Folders of pictures: what lies in them, and whether they are classes or parts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelforge.train.data.folders import Folder, laid_out, walk


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_files_are_listed_by_name_without_hidden_ones(tmp_path: Path):
    make(tmp_path, "b.PNG", "a/c.png", "a.txt", ".hidden.png", ".git/d.png")
    os.symlink(tmp_path / "a", tmp_path / "link")
    found = walk(tmp_path, {".png"})
    assert [path.relative_to(tmp_path).as_posix() for path in found.files] == ["a/c.png", "b.PNG"]
    assert [path.name for path in found.others] == ["a.txt", "link"]
    assert found.inner == {"a", "link"}
    assert not found.holds_folders_alone


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        walk(tmp_path / "none", {".png"})


def folder(name: str, *pictures: str) -> Folder:
    root = Path(name)
    inner = frozenset(one.partition("/")[0] for one in pictures if "/" in one)
    return Folder(root, tuple(root / one for one in pictures), (), inner)


@pytest.mark.parametrize(
    ("folders", "reason"),
    [
        (
            [folder("one", "a/1", "b/2"), folder("two", "a/3", "b/4")],
            "each holds folders of the same names, `a` and `b`",
        ),
        ([folder("train", "a/1"), folder("val", "b/2")], "they are called as parts of the data are, and hold folders"),
        ([folder("one", "a/1"), folder("two", "b/2")], ""),
        ([folder("train", "1"), folder("test", "2")], ""),
        ([folder("train", "a/1", "b/2")], ""),
        ([], ""),
    ],
)
def test_folders_of_parts_are_no_classes(folders: list[Folder], reason: str):
    assert laid_out(folders) == reason
