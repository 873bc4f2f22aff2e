"""Folders of pictures: what lies in them, whether they are classes, and their pixels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelforge.core.errors import Refusal
from modelforge.train.data.pictures import Folder, decoded, image_of_bytes, laid_out, walk


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_files_are_listed_by_name_without_hidden_ones(tmp_path: Path):
    make(tmp_path, "b.PNG", "a/c.png", "a.txt", ".hidden.png", ".git/d.png")
    os.symlink(tmp_path / "a", tmp_path / "link")
    found = walk(tmp_path, {".png"})
    assert [path.relative_to(tmp_path).as_posix() for path in found.pictures] == ["a/c.png", "b.PNG"]
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


def test_pixels_are_put_into_their_row(tmp_path: Path):
    Image.new("RGB", (4, 2), (10, 20, 30)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    out = np.zeros((2, 3, 2, 4), dtype=np.uint8)
    assert decoded([tmp_path / "a.png", tmp_path / "b.png"], out) == {1: ""}
    assert [set(channel.ravel().tolist()) for channel in out[0]] == [{10}, {20}, {30}]
    assert not out[1].any()


def test_one_channel_is_grey_and_other_sizes_are_cut_to_fit(tmp_path: Path):
    Image.new("RGB", (40, 10), (255, 255, 255)).save(tmp_path / "a.png")
    out = np.zeros((1, 1, 5, 5), dtype=np.uint8)
    assert decoded([tmp_path / "a.png"], out) == {}
    assert out.min() == 255


@pytest.mark.parametrize("mode", ["F", "I"])
def test_levels_of_unknown_range_are_refused(mode: str):
    with pytest.raises(Refusal):
        image_of_bytes(Image.new(mode, (2, 2)))


def test_what_is_transparent_lies_on_white():
    image = image_of_bytes(Image.new("RGBA", (1, 1), (0, 0, 0, 0))).convert("RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)
