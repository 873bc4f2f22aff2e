"""Folders of pictures: sizes, channels, scale, and pictures that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import modelforge as mf
from modelforge.train.data.read import read
from modelforge.train.data.source import Source
from modelforge.train.data.sources import parse_source

COLOURS = {"blue": (0, 0, 200), "red": (200, 0, 0)}


def folder(**fields) -> Source:
    raw = {"type": "image_folder", "task": "classification", "num_classes": 2, "num_outputs": 2, "channels": 3}
    raw |= {"size": 4, **fields}
    return parse_source({**raw, "input": {"shape": [raw["channels"], raw["size"], raw["size"]]}})


def told(source: Source) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        read(source)
    return [(problem.path, problem.message, problem.hint) for problem in caught.value.problems]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name, colour in COLOURS.items():
        (root / name / "deeper").mkdir(parents=True)
        for number in range(10):
            picture = Image.new("RGB", (6, 9), colour)
            picture.save(root / name / ("deeper" if number % 2 else ".") / f"{number}.png")
    return root


def test_every_folder_is_a_class(pictures: Path):
    examples = read(folder(path=str(pictures), mean=[0, 0, 0], std=[1, 1, 1]))
    inputs, labels = examples.train.batch(np.arange(len(examples.train)))
    assert inputs.shape == (14, 3, 4, 4)
    assert inputs.dtype == np.float32
    assert np.allclose(inputs[labels == 0].max((0, 2, 3)), [0, 0, 200 / 255])
    assert np.allclose(inputs[labels == 1].max((0, 2, 3)), [200 / 255, 0, 0])
    assert [len(examples.val), len(examples.test)] == [3, 3]


def test_channels_are_scaled_by_the_training_part(pictures: Path):
    train = read(folder(path=str(pictures))).train
    inputs, _ = train.batch(np.arange(len(train)))
    assert np.allclose(inputs.mean((0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(inputs.std((0, 2, 3)), [1, 0, 1], atol=1e-5)
    grey = read(folder(path=str(pictures), channels=1)).train
    assert grey.batch(np.arange(2))[0].shape == (2, 1, 4, 4)


def test_damaged_pictures_are_left_out_and_named(pictures: Path):
    (pictures / "red" / "0.png").write_bytes(b"no picture")
    whole = (pictures / "blue" / "2.png").read_bytes()
    (pictures / "blue" / "2.png").write_bytes(whole[: len(whole) // 2])
    examples = read(folder(path=str(pictures)))
    assert len(examples.train) + len(examples.val) + len(examples.test) == 18
    (warning,) = examples.warnings
    assert (warning.code, warning.severity, warning.path) == ("MW201", "warning", "data.path")
    assert warning.message == (
        f"2 of 20 pictures in `{pictures}` cannot be read, and are left out: `blue/2.png`, `red/0.png`"
    )


def test_a_run_says_what_it_leaves_out(train, pictures: Path, capsys):
    (pictures / "red" / "0.png").write_bytes(b"no picture")
    result = train("data=image_folder", f"data.path={pictures}", "data.size=8")
    assert result.exit_code == 0
    assert result.status.metrics["test/accuracy"] == 1
    assert "warning[MW201]: 1 of 20 pictures" in capsys.readouterr().out


def test_no_picture_at_all(pictures: Path):
    for path in pictures.rglob("*.png"):
        path.write_bytes(b"no picture")
    ((path, message, _),) = told(folder(path=str(pictures)))
    assert path == "data.path"
    assert message.startswith(f"20 of 20 pictures in `{pictures}` cannot be read, and are left out: `blue/0.png`")
    assert message.endswith("and 15 more")


def test_folders_that_do_not_fit(pictures: Path):
    named = f"`{pictures}`"
    assert told(folder(path=str(pictures), num_classes=5, num_outputs=5)) == [
        ("data.num_classes", f"{named} has 2 classes, but `num_classes` is 5", "write `data.num_classes=2`")
    ]
    (pictures / "green").mkdir()
    assert told(folder(path=str(pictures), num_classes=3, num_outputs=3)) == [
        ("data.path", f"the class `green` of {named} has no picture", "remove the folder, or fill it")
    ]
    (pictures / "green").rmdir()
    assert told(folder(path=str(pictures), max_bytes=100)) == [
        (
            "data.size",
            "20 pictures of 4 x 4 take 960 bytes of memory, but `max_bytes` is 100",
            "write a smaller `data.size=...`, or `data.max_bytes=960`",
        )
    ]
    (pictures / "green").mkdir()
    empty = pictures / "green"
    assert told(folder(path=str(empty)))[0][1] == f"`{empty}` has no folders with pictures"
    assert told(folder(path=str(empty / "none")))[0][1] == f"there is no folder `{empty / 'none'}`"
