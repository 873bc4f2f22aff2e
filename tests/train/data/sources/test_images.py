"""Folders of pictures: sizes, channels, scale, and pictures that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

import modelforge as mf
from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source
from modelforge.train.data.source import Source

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
        f"2 of 20 pictures in `{pictures}` cannot be read, and are left out: `blue/2.png` and `red/0.png`"
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


RAMP = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)


def save_all(root: Path, *, make, ending: str) -> Path:
    """Twelve pictures in each of two classes: those of `one` are dark, those of `two` light."""
    random = np.random.default_rng(0)
    for label, level in (("one", 8000), ("two", 40000)):
        (root / label).mkdir(parents=True)
        for number in range(12):
            make(level + random.integers(0, 4000, (8, 8)), root / label / f"{number}{ending}")
    return root


def levels(root: Path, **fields) -> np.ndarray:
    """All pixels as bytes, in the order of the classes and names."""
    section = {"path": str(root), "channels": 1, "size": 8, "mean": [0], "std": [1], **fields}
    if section["channels"] == 3:
        section |= {"mean": [0, 0, 0], "std": [1, 1, 1]}
    examples = read(folder(**section))
    parts = [part for part in (examples.train, examples.val, examples.test)]
    pixels, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("pixels", "labels"))
    return pixels[np.argsort(labels, kind="stable")]


def grey(values, dtype) -> Image.Image:
    return Image.fromarray(np.asarray(values).astype(dtype))


@pytest.mark.parametrize(
    ("name", "ending", "make"),
    [
        ("8 bits", ".png", lambda v, path: grey(np.rint(v / 257), np.uint8).save(path)),
        ("png", ".png", lambda v, path: grey(v, np.uint16).save(path)),
        ("tiff", ".tif", lambda v, path: grey(v, np.uint16).save(path)),
        ("big-endian tiff", ".tif", lambda v, path: grey(v, ">u2").save(path)),
        ("pgm", ".pgm", lambda v, path: path.write_bytes(b"P5 8 8 65535\n" + v.astype(">u2").tobytes())),
        (
            "pgm of 10 bits",
            ".pgm",
            lambda v, path: path.write_bytes(b"P5 8 8 1023\n" + (v // 64).astype(">u2").tobytes()),
        ),
        ("inverted tiff", ".tif", lambda v, path: grey(65535 - v, np.uint16).save(path, tiffinfo={262: 0})),
        ("colour", ".png", lambda v, path: Image.merge("RGB", [grey(np.rint(v / 257), np.uint8)] * 3).save(path)),
    ],
)
def test_levels_of_more_bits_are_those_of_8(tmp_path: Path, name: str, ending: str, make):
    pixels = levels(save_all(tmp_path / "pictures", make=make, ending=ending))
    random = np.random.default_rng(0)
    expected = [np.rint((level + random.integers(0, 4000, (8, 8))) / 257) for level in [8000] * 12 + [40000] * 12]
    found = pixels.reshape(24, 1, 64).astype(int)
    off = abs(found - np.reshape(expected, (1, 24, 64))).max(2)  # of each picture from each
    assert off.min(0).max() <= 1  # of 10 bits, or through colour: rounded once more
    assert len(np.unique(pixels.reshape(24, -1), axis=0)) == 24


@pytest.mark.parametrize(
    ("ending", "make", "reason"),
    [
        (
            ".tif",
            lambda v, path: grey(v, np.int32).save(path),
            "whole numbers of 32 bits do not define which level is white",
        ),
        (".tif", lambda v, path: grey(v / 65535, np.float32).save(path), "floats do not define which level is white"),
        (".png", lambda v, path: os.mkfifo(path), "a pipe, a socket or a device is no picture"),
        (".png", lambda v, path: path.symlink_to("/dev/zero"), "a pipe, a socket or a device is no picture"),
    ],
    ids=["32 bits", "floats", "pipe", "device"],
)
def test_pictures_that_are_refused_by_name(tmp_path: Path, ending: str, make, reason: str):
    root = save_all(tmp_path / "pictures", make=lambda v, path: grey(v // 257, np.uint8).save(path), ending=".png")
    make(RAMP, root / "two" / f"x{ending}")
    (warning,) = read(folder(path=str(root), channels=1)).warnings
    assert (warning.code, warning.message) == (
        "MW201",
        f"1 of 25 pictures in `{root}` cannot be read, and is left out: `two/x{ending}` ({reason})",
    )


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = save_all(tmp_path / "pictures", make=lambda v, path: grey(v // 257, np.uint8).save(path), ending=".png")
    Image.new("L", (40, 30)).save(root / "two" / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    (warning,) = read(folder(path=str(root), channels=1)).warnings
    assert warning.message.endswith("is left out: `two/x.png` (more than 1,000 pixels)")


def test_a_class_without_a_picture_that_can_be_read_is_refused(pictures: Path):
    for path in (pictures / "red").rglob("*.png"):
        path.write_bytes(b"no picture")
    assert told(folder(path=str(pictures)))[1] == (
        "data.path",
        f"of the class `red` of `{pictures}` no picture can be read",
        "remove the folder, or bring pictures that can",
    )


def one_picture(tmp_path: Path, save, ending: str) -> np.ndarray:
    """What becomes of a picture that is the first of its class; RGB, 8 x 8."""
    root = save_all(tmp_path / "pictures", make=lambda v, path: grey(v // 257, np.uint8).save(path), ending=".png")
    for path in (root / "two").iterdir():
        save(path.with_suffix(ending))
        if ending != ".png":
            path.unlink()
    return levels(root, channels=3)[-1].transpose(1, 2, 0)


def test_what_is_transparent_lies_on_white(tmp_path: Path):
    drawing = np.zeros((8, 8, 4), np.uint8)
    drawing[2:4, 2:4, 3] = 255  # all black: the shape is in its transparency alone
    seen = one_picture(tmp_path, Image.fromarray(drawing).save, ".png")
    assert (seen[2:4, 2:4] == 0).all()
    assert (seen[5:] == 255).all()


def test_a_palette_with_a_transparent_colour(tmp_path: Path):
    def save(path: Path) -> None:
        picture = Image.new("P", (8, 8), 1)
        picture.putpalette([0, 0, 0, 200, 0, 0])
        picture.paste(0, (0, 0, 8, 4))
        picture.save(path, transparency=b"\x00\xff")

    seen = one_picture(tmp_path, save, ".png")
    assert (seen[:4] == 255).all()
    assert (seen[4:] == [200, 0, 0]).all()


def test_cmyk_becomes_rgb(tmp_path: Path):
    seen = one_picture(tmp_path, Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save, ".tif")
    assert (seen == [255, 0, 0]).all()


def test_exif_says_what_is_up(tmp_path: Path):
    def save(path: Path) -> None:
        picture = grey(RAMP, np.uint16)
        exif = picture.getexif()
        exif[0x0112] = 6  # to be turned by 90 degrees to the right
        picture.save(path, exif=exif)

    seen = one_picture(tmp_path, save, ".png")
    assert np.array_equal(seen[..., 0], np.rint(np.rot90(RAMP, -1) / 257))


def test_of_a_picture_that_moves_it_is_the_first(tmp_path: Path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    seen = one_picture(tmp_path, lambda path: frames[0].save(path, save_all=True, append_images=frames[1:]), ".gif")
    assert (seen == [255, 0, 0]).all()


def test_which_files_count(pictures: Path):
    for hidden in (pictures / "red" / ".cache", pictures / "red" / "deeper" / ".thumbs", pictures / ".git"):
        hidden.mkdir()
        Image.new("RGB", (6, 9)).save(hidden / "0.png")
    Image.new("RGB", (6, 9)).save(pictures / "red" / ".0.png")
    assert read(folder(path=str(pictures))).warnings == ()
    (pictures / "red" / "notes.txt").write_text("")
    (pictures / "red" / "deeper" / "0.heic").write_bytes(b"")
    Image.new("RGB", (6, 9)).save(pictures / "loose.png")
    (pictures / "blue" / "elsewhere").symlink_to(pictures / "red")
    Image.new("RGB", (6, 9), "blue").save(pictures / "blue" / "CAPITAL.PNG")
    examples = read(folder(path=str(pictures)))
    assert len(examples.train) + len(examples.val) + len(examples.test) == 21
    (warning,) = examples.warnings
    assert (warning.code, warning.severity) == ("MW201", "warning")
    assert warning.message == (
        f"4 files in `{pictures}` lie in no class or do not end as pictures do, and are left out: "
        "`loose.png`, `blue/elsewhere`, `red/deeper/0.heic` and `red/notes.txt`"
    )


@pytest.mark.parametrize("parts", [("train", "val"), ("Train", "Valid", "Test"), ("left", "right")])
def test_folders_that_hold_the_same_folders_are_no_classes(tmp_path: Path, parts: tuple[str, ...]):
    for part in parts:
        save_all(tmp_path / "all" / part, make=lambda v, path: grey(v // 257, np.uint8).save(path), ending=".png")
    root, number = tmp_path / "all", len(parts)
    assert told(folder(path=str(root), num_classes=number, num_outputs=number)) == [
        (
            "data.path",
            f"the folders of `{root}` are no classes: each holds folders of the same names, `one` and `two`",
            f"one of them: `data.path={root / min(parts)}`; or put the pictures of a class right into its folder",
        )
    ]
    Image.new("L", (8, 8)).save(root / parts[0] / "0.png")  # with pictures of its own it is a class
    assert len(read(folder(path=str(root), num_classes=number, num_outputs=number)).train) > 20


def test_parts_that_hold_different_classes_are_no_classes(tmp_path: Path):
    for place in ("train/one", "train/two", "test/one"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / place / "0.png")
    assert told(folder(path=str(tmp_path)))[0][1] == (
        f"the folders of `{tmp_path}` are no classes: they are called as parts of the data are, and hold folders"
    )


def test_folders_called_by_numbers_are_in_the_order_of_these(tmp_path: Path):
    for name in ("2", "10", "02"):
        (tmp_path / name).mkdir()
        for number in range(10):
            Image.new("L", (8, 8), number).save(tmp_path / name / f"{number}.png")
    examples = read(folder(path=str(tmp_path), num_classes=3, num_outputs=3))
    assert examples.fitted["classes"] == ["02", "2", "10"]


def test_pixels_are_no_tokens(pictures: Path):
    section = {
        "type": "image_folder",
        "task": "classification",
        "num_classes": 2,
        "num_outputs": 2,
        "path": str(pictures),
    }
    with pytest.raises(ValidationError, match="pixels are numbers: `dtype` must be 'float32', not 'int64'"):
        parse_source({**section, "channels": 3, "size": 4, "input": {"shape": [3, 4, 4], "dtype": "int64"}})


def test_a_file_for_which_pillow_would_start_a_program_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    eps = pytest.importorskip("PIL.EpsImagePlugin")
    monkeypatch.setattr(eps, "Ghostscript", lambda *_, **__: pytest.fail("a program was started"))
    root = save_all(tmp_path / "pictures", make=lambda v, path: grey(v // 257, np.uint8).save(path), ending=".png")
    (root / "two" / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    (warning,) = read(folder(path=str(root), channels=1)).warnings
    assert warning.message == f"1 of 25 pictures in `{root}` cannot be read, and is left out: `two/x.png`"
