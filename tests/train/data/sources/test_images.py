"""Folders of pictures: sizes, channels, scale, and pictures that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
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
    raw["num_outputs"] = raw["num_classes"]
    return parse_source({**raw, "input": {"shape": [raw["channels"], raw["size"], raw["size"]]}})


def told(source: Source) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        read(source)
    return [(problem.key, problem.message, problem.hint) for problem in caught.value.problems]


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
    assert (warning.code, warning.severity, warning.key) == ("MW201", "warning", "data.path")
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
            "data.max_bytes",
            "20 pictures of 4 x 4 take 960 bytes, but `max_bytes` is 100",
            "to decode each when it is needed: `data.cache=false`",
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
    pixels, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("levels", "targets"))
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
        (".png", lambda v, path: os.mkfifo(path), "a pipe, a socket or a device is not a picture"),
        (".png", lambda v, path: path.symlink_to("/dev/zero"), "a pipe, a socket or a device is not a picture"),
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


@pytest.mark.parametrize("parts", [("train", "val"), ("Train", "Valid", "Test"), ("left", "right")], ids=" ".join)
def test_folders_that_hold_the_same_folders_are_no_classes(tmp_path: Path, parts: tuple[str, ...]):
    for part in parts:
        save_all(tmp_path / "all" / part, make=lambda v, path: grey(v // 257, np.uint8).save(path), ending=".png")
    root, number = tmp_path / "all", len(parts)
    one = f"for one of them: `data.path={root / min(parts)}`"
    assert told(folder(path=str(root), num_classes=number, num_outputs=number)) == [
        (
            "data.path",
            f"the folders of `{root}` are not classes: each holds folders of the same names, `one` and `two`",
            f"to use it as it is: `data.split=folders`; {one}"
            if parts[0] != "left"
            else f"{one}; or put the pictures of a class right into its folder",
        )
    ]
    Image.new("L", (8, 8)).save(root / parts[0] / "0.png")  # with pictures of its own it is a class
    assert len(read(folder(path=str(root), num_classes=number, num_outputs=number)).train) > 20


def test_parts_that_hold_different_classes_are_no_classes(tmp_path: Path):
    for place in ("train/one", "train/two", "test/one"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / place / "0.png")
    assert told(folder(path=str(tmp_path)))[0][1] == (
        f"the folders of `{tmp_path}` are not classes: they are called as parts of the data are, and hold folders"
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
    eps = pytest.importorskip("PIL.EpsImagePlugin", reason="the extra `train`")
    monkeypatch.setattr(eps, "Ghostscript", lambda *_, **__: pytest.fail("a program was started"))
    root = save_all(tmp_path / "pictures", make=lambda v, path: grey(v // 257, np.uint8).save(path), ending=".png")
    (root / "two" / "x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    (warning,) = read(folder(path=str(root), channels=1)).warnings
    assert warning.message == f"1 of 25 pictures in `{root}` cannot be read, and is left out: `two/x.png`"


# --- existing splits --------------------------------------------------------------------------------------------------


def split_folders(root: Path, **parts: dict[str, int]) -> Path:
    """So many pictures of each class in each part; every picture has a grey level of its own."""
    level = 0
    for part, classes in parts.items():
        for name, number in classes.items():
            (root / part / name).mkdir(parents=True, exist_ok=True)
            for index in range(number):
                Image.new("L", (6, 6), level).save(root / part / name / f"{index}.png")
                level += 1
    return root


def by_folders(root: Path, **fields) -> Source:
    return folder(path=str(root), split="folders", channels=1, mean=[0], std=[1], **fields)


def shown(part) -> list[int]:
    """The grey level of each picture."""
    return np.rint(part.batch(np.arange(len(part)))[0][:, 0, 0, 0] * 255).astype(int).tolist()


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "validation", "TEST"), ("train", "valid", "testing")]
)
def test_folders_are_the_parts(tmp_path: Path, names: tuple[str, ...]):
    sizes = ({"cat": 4, "dog": 3}, {"cat": 1, "dog": 2}, {"cat": 2, "dog": 1})
    root = split_folders(tmp_path, **dict(zip(names, sizes, strict=True)))
    examples = read(by_folders(root))
    assert shown(examples.train) == list(range(7))
    assert shown(examples.val) == [7, 8, 9]
    assert shown(examples.test) == [10, 11, 12]
    assert examples.test.targets.tolist() == [0, 0, 1]
    assert examples.fitted["classes"] == ["cat", "dog"]
    assert examples.warnings == ()


@pytest.mark.parametrize(("given", "drawn"), [("val", "test"), ("test", "val")])
def test_a_part_without_a_folder_is_drawn_from_the_training_part(tmp_path: Path, given: str, drawn: str):
    root = split_folders(tmp_path, train={"cat": 20, "dog": 20}, **{given: {"cat": 2, "dog": 2}})
    examples = read(by_folders(root, val_fraction=0.1, test_fraction=0.1))
    assert shown(getattr(examples, given)) == [40, 41, 42, 43]
    assert len(getattr(examples, drawn)) == 4
    assert sorted(shown(examples.train) + shown(getattr(examples, drawn))) == list(range(40))
    assert np.bincount(getattr(examples, drawn).targets).tolist() == [2, 2]


def test_a_class_that_a_part_lacks_is_a_warning_and_one_that_training_lacks_an_error(tmp_path: Path):
    root = split_folders(tmp_path / "a", train={"cat": 3, "dog": 3}, val={"cat": 1, "dog": 1}, test={"cat": 1})
    (warning,) = read(by_folders(root)).warnings
    assert warning.message == f"the class `dog` has 4 examples in `{root}`, none of them in the test part"
    split_folders(root, val={"bird": 1}, test={"dogs": 1, "cow": 2})
    assert told(by_folders(root)) == [
        (
            "data.path",
            f"`{root / 'val'}` has pictures of the class `bird`, and `{root / 'train'}` has none",
            "known: `cat`, `dog`",
        ),
        (
            "data.path",
            f"`{root / 'test'}` has pictures of the class `cow`, and `{root / 'train'}` has none",
            "known: `cat`, `dog`",
        ),
        (
            "data.path",
            f"`{root / 'test'}` has pictures of the class `dogs`, and `{root / 'train'}` has none",
            "did you mean `dog`?",
        ),
    ]


def test_folders_that_are_no_parts(tmp_path: Path):
    root = split_folders(tmp_path, cat={"a": 1}, dog={"a": 1}, tset={"a": 1})
    known = "known: `dev`, `test`, `testing`, `train`, `training`, `val`, `valid`, `validation`"
    (cat, _, tset, none) = told(by_folders(root))
    assert cat == ("data.split", f"the folder `cat` of `{root}` is not named as a part of the data", known)
    assert tset[2] == "did you mean `test`?"
    hint = "for a random split of a folder of classes: `data.split=random`"
    assert none == ("data.split", f"`split` is 'folders', but `{root}` has no folder `train`", hint)


def test_one_part_alone_or_two_of_one_kind(tmp_path: Path):
    root = split_folders(tmp_path / "a", train={"cat": 2, "dog": 2})
    message = f"`split` is 'folders', but `{root}` has no folder `val` or `test` beside `train`"
    assert [one[1] for one in told(by_folders(root))] == [message]
    root = split_folders(tmp_path / "b", train={"cat": 2}, val={"cat": 2}, valid={"cat": 2})
    message = f"the folders `val` and `valid` of `{root}` both name the same part"
    assert [one[1] for one in told(by_folders(root))] == [message]


def test_parts_without_classes(tmp_path: Path):
    root = split_folders(tmp_path, train={"cat": 2, "dog": 2}, val={"cat": 2, "dog": 2}, test={".": 3})
    assert [one[1] for one in told(by_folders(root))] == [f"`{root / 'test'}` has no folders with pictures"]


# --- new pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("resize", ["crop", "stretch", "pad", 5])
def test_raw_test_files_are_encoded_as_the_run_tested_on_them(tmp_path: Path, cache: bool, resize: str | int):
    random = np.random.default_rng(0)
    for part, number in (("train", 6), ("val", 2), ("test", 3)):
        for name in ("cat", "dog"):
            (tmp_path / part / name / "deeper").mkdir(parents=True)
            for index in range(number):
                levels = random.integers(0, 256, (7 + index, 9, 3), dtype=np.uint8)
                Image.fromarray(levels).save(tmp_path / part / name / ("deeper" if index % 2 else ".") / f"{index}.png")
    source = folder(path=str(tmp_path), split="folders", cache=cache, resize=resize)
    examples = read(source)
    rows = np.arange(6)
    inputs, labels = examples.test.batch(rows)
    raw = source.raw(tmp_path / "test")
    assert [path.name for path in raw] == ["0.png", "2.png", "1.png"] * 2
    encoded = source.encode(raw, examples.fitted, labelled=True)
    assert len(encoded) == 6
    assert np.array_equal(encoded.batch(rows)[0], inputs)
    assert np.array_equal(encoded.batch(rows)[1], labels)
    images = [Image.open(path) for path in raw]
    arrays = [np.asarray(image) for image in images]
    for same in (list(raw), images, arrays):
        assert np.array_equal(source.encode(same, examples.fitted).batch(rows)[0], inputs)
    order = [3, 4, 5, 0, 1, 2]
    named = [arrays[row] for row in order], ["dog"] * 3 + ["cat"] * 3
    again = source.encode(named, examples.fitted, labelled=True).batch(rows)
    assert np.array_equal(again[0], inputs[order])
    assert again[1].tolist() == [1, 1, 1, 0, 0, 0]
    (one,) = source.raw(raw[1])
    assert np.array_equal(source.encode([one], examples.fitted).batch(rows[:1])[0], inputs[1:2])


def test_what_cannot_be_encoded_is_refused_by_name(pictures: Path, tmp_path: Path):
    source = folder(path=str(pictures))
    fitted = read(source).fitted
    new = split_folders(tmp_path / "new", red={".": 2}, bird={".": 1}, cow={".": 1})

    def refused(call) -> tuple[str, str, str]:
        with pytest.raises(mf.ForgeError) as caught:
            call()
        (problem,) = caught.value.problems
        return problem.key, problem.message, problem.hint

    raw = source.raw(new)
    assert refused(lambda: source.encode(raw, fitted, labelled=True)) == (
        "",
        "`bird` and `cow` are not classes of the run",
        "its classes: `blue` and `red`",
    )
    Image.new("L", (3, 3)).save(new / "loose.png")
    message = f"1 picture in `{new}` lies in no class: `loose.png`"
    assert refused(lambda: source.encode(source.raw(new), fitted, labelled=True))[1] == message
    (new / "red" / "0.png").write_bytes(b"no picture")
    message = f"1 of 5 pictures in `{new}` cannot be read: `red/0.png`"
    assert refused(lambda: source.encode(source.raw(new), fitted)) == ("", message, "leave them out")
    array = np.zeros((3, 4, 5), np.uint8)
    message = "1 of 2 pictures cannot be read: `picture 2`"
    assert refused(lambda: source.encode([array[..., :3], array], fitted))[1].startswith(message)
    (tmp_path / "empty").mkdir()
    assert refused(lambda: source.raw(tmp_path / "empty"))[1] == f"no picture lies in `{tmp_path / 'empty'}`"
    assert refused(lambda: source.raw(tmp_path / "none"))[1] == f"there is no file `{tmp_path / 'none'}`"


# --- scale, memory and augmentation -----------------------------------------------------------------------------------


def test_pictures_in_files_are_those_in_memory(pictures: Path):
    (pictures / "red" / "0.png").write_bytes(b"no picture")
    cached, lazy = (read(folder(path=str(pictures), cache=cache)) for cache in (True, False))
    assert cached.fitted == lazy.fitted
    assert cached.warnings == lazy.warnings
    for one, other in ((cached.train, lazy.train), (cached.val, lazy.val), (cached.test, lazy.test)):
        rows = np.arange(len(one))
        assert np.array_equal(one.batch(rows)[0], other.batch(rows)[0])
        assert np.array_equal(one.targets, other.targets)


def test_a_picture_that_vanishes_is_named(pictures: Path):
    train = read(folder(path=str(pictures), cache=False)).train
    for path in pictures.rglob("*.png"):
        path.unlink()
    with pytest.raises(mf.ForgeError) as caught:
        train.batch(np.arange(1))
    (problem,) = caught.value.problems
    assert problem.message.endswith(".png` can no longer be read: no such file or directory")


def test_the_scale_of_published_weights(pictures: Path):
    fitted = read(folder(path=str(pictures), mean="imagenet", std="imagenet")).fitted["inputs"]
    assert (fitted["mean"], fitted["std"]) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert read(folder(path=str(pictures), mean=None, std="half")).fitted["inputs"]["std"] == [0.5] * 3


def wrong(**fields) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        folder(**fields)
    return [(".".join(map(str, detail["loc"])), detail["msg"]) for detail in caught.value.errors()]


def test_settings_that_contradict_each_other():
    assert wrong(channels=1, mean="imagenet") == [("mean", "`mean` must hold one number a channel: 1, not 3")]
    assert wrong(std=[1, 0, 1]) == [("std", "`std` must be greater than 0, but is [1.0, 0.0, 1.0]")]
    assert wrong(size=32, resize=16) == [("resize", "`resize` must be at least `size`, 32, but is 16")]
    assert all(where.startswith("mean") for where, _ in wrong(mean="image"))


def test_every_mistake_of_an_augmentation_at_once():
    pytest.importorskip("torchvision", reason="the extra `vision`")
    found = wrong(augment={"flip": "RandomHorizontalFlp", "crop": {"type": "RandomCrop"}, "jitter": 3})
    assert [where for where, _ in found] == ["augment.flip", "augment.crop", "augment.jitter"]


def test_only_the_training_part_is_augmented(pictures: Path):
    pytest.importorskip("torchvision", reason="the extra `vision`")
    source = folder(
        path=str(pictures), mean=[0, 0, 0], std=[1, 1, 1], augment={"invert": {"type": "RandomInvert", "p": 1.0}}
    )
    plain = read(folder(path=str(pictures), mean=[0, 0, 0], std=[1, 1, 1]))
    examples = read(source)
    rows = np.arange(3)
    keys = [(0, 0, row) for row in range(3)]
    assert np.allclose(examples.train.varied(rows, keys)[0], 1 - plain.train.batch(rows)[0], atol=1e-6)
    assert np.array_equal(examples.train.batch(rows)[0], plain.train.batch(rows)[0])
    for name in ("val", "test"):
        part, other = getattr(examples, name), getattr(plain, name)
        assert np.array_equal(part.varied(rows, keys)[0], other.batch(rows)[0])


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Pictures of two classes, of which no two are alike."""
    random = np.random.default_rng(0)
    return save_all(
        tmp_path / "noise",
        make=lambda v, path: grey(v // 257 + random.integers(0, 90, v.shape), np.uint8).save(path),
        ending=".png",
    )


AUGMENTED = (
    *("data=image_folder", "data.size=8", "data.channels=1", "data.batch_size=4"),
    *("+data.augment.flip=RandomHorizontalFlip", "+data.augment.turn={type: RandomRotation, degrees: 20}"),
)


@pytest.mark.parametrize("overrides", [("data.num_workers=1",), ("data.num_workers=2", "data.cache=false")], ids=str)
def test_an_augmented_run_does_not_depend_on_its_processes(train, noise: Path, overrides: tuple[str, ...]):
    pytest.importorskip("torchvision", reason="the extra `vision`")
    alone = train(*AUGMENTED, f"data.path={noise}")
    helped = train(*AUGMENTED, f"data.path={noise}", *overrides, folder="helped")
    assert helped.exit_code == 0, helped.status.error
    assert helped.status.metrics == alone.status.metrics
    plain = train(*AUGMENTED[:4], f"data.path={noise}", folder="plain")
    assert plain.status.metrics["test/loss"] != alone.status.metrics["test/loss"]


def test_an_augmented_run_is_resumed_to_the_bit(train, noise: Path, tmp_path: Path):
    pytest.importorskip("torchvision", reason="the extra `vision`")
    overrides = (*AUGMENTED, f"data.path={noise}", "data.num_workers=1")
    whole = train(*overrides, "trainer.max_epochs=3")
    train(*overrides, "trainer.max_epochs=1", folder="first")
    resumed = train(*overrides, "trainer.max_epochs=3", f"ckpt={tmp_path}/first/checkpoints/last.ckpt", folder="second")
    assert resumed.exit_code == 0, resumed.status.error
    assert resumed.status.metrics == whole.status.metrics
    kept = (torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True) for name in ("run", "second"))
    one, other = (checkpoint["state_dict"] for checkpoint in kept)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("cache", [True, False])
def test_a_run_predicts_from_raw_files_what_it_reported(train, noise: Path, tmp_path: Path, cache: bool):
    result = train("data=image_folder", "data.size=8", "data.channels=1", f"data.path={noise}", f"data.cache={cache}")
    assert result.exit_code == 0, result.status.error
    run = mf.load_run(tmp_path / "run")
    evaluation = run.evaluate()
    assert evaluation.metrics["accuracy"] == result.status.metrics["test/accuracy"]
    assert evaluation.metrics["loss"] == pytest.approx(result.status.metrics["test/loss"], rel=1e-6)
    every = run.predictions(run.read(noise).part)
    assert len(every["prediction"]) == 24
    assert {*every["prediction"]} <= {"one", "two"}
    one = run.predictions(run.read(noise / "two" / "3.png").part)
    files = list(run.source.raw(noise))
    place = files.index(noise / "two" / "3.png")
    assert one["probability_two"][0] == pytest.approx(every["probability_two"][place], abs=1e-6)
    assert run.evaluate({"path": str(noise)}).num_examples == 24


# --- hostile folders --------------------------------------------------------------------------------------------------


def test_links_that_lead_in_circles(pictures: Path):
    (pictures / "red" / "again").symlink_to(pictures)
    (pictures / "green").symlink_to(pictures / "green")
    (pictures / "red" / "self.png").symlink_to(pictures / "red" / "self.png")
    examples = read(folder(path=str(pictures)))
    assert len(examples.train) + len(examples.val) + len(examples.test) == 20
    said = " ".join(warning.message for warning in examples.warnings)
    assert "`green`" in said
    assert "`red/again`" in said
    assert "`red/self.png`" in said


def test_a_picture_that_may_not_be_read_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch):
    def denied(path: Path, key: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("modelforge.train.data.pictures.opened", denied)
    ((_, message, _),) = told(folder(path=str(pictures)))
    assert message.endswith("(permission denied)")


def test_a_header_of_huge_sides_is_refused_before_it_is_decoded(pictures: Path):
    header = b"P5 60000 60000 255\n"
    (pictures / "red" / "huge.pgm").write_bytes(header)
    (warning,) = read(folder(path=str(pictures))).warnings
    assert "`red/huge.pgm` (more than " in warning.message
