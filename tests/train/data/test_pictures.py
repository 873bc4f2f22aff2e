"""Pictures: how they become squares of levels, and batches that differ from epoch to epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modelforge.core.errors import Refusal
from modelforge.train.data.augment import parse_augmentation
from modelforge.train.data.batches import Batched, Shuffle
from modelforge.train.data.pictures import Files, Form, Pictures, decoded, image_of_bytes


def test_levels_are_given_in_order_and_damaged_files_refused(tmp_path: Path):
    Image.new("RGB", (4, 4), (10, 20, 30)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    levels, refusal, missing = decoded([tmp_path / name for name in ("a.png", "b.png", "c.png")], Form(3, 2))
    assert isinstance(levels, np.ndarray)
    assert levels.shape == (3, 2, 2)
    assert [set(channel.ravel().tolist()) for channel in levels] == [{10}, {20}, {30}]
    assert (str(refusal), str(missing)) == ("", "no such file or directory")


def test_one_channel_is_grey():
    (levels,) = decoded([Image.new("RGB", (40, 10), (255, 255, 255))], Form(1, 5))
    assert levels.shape == (1, 5, 5)
    assert levels.min() == 255


def halves() -> Image.Image:
    """Twice as wide as high: black, white, white, black."""
    row = np.repeat(np.array([0, 255, 255, 0], np.uint8), 4)
    return Image.fromarray(np.tile(row, (8, 1)))


@pytest.mark.parametrize(
    ("resize", "row"),
    [
        ("crop", [255] * 8),
        ("stretch", [0, 0, 255, 255, 255, 255, 0, 0]),
        ("pad", None),
        (8, [255] * 8),
        (16, [255] * 8),
    ],
)
def test_ways_to_a_square(resize: str | int, row: list[int] | None):
    (levels,) = decoded([halves()], Form(1, 8, resize, "nearest"))
    if row is None:
        assert not levels[0, :2].any()
        assert not levels[0, 6:].any()
        assert levels[0, 2:6].tolist() == [[0, 0, 255, 255, 255, 255, 0, 0]] * 4
    else:
        assert levels[0].tolist() == [row] * 8


@pytest.mark.parametrize("size", [(50, 37), (37, 50), (64, 64), (31, 200), (21, 21)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_number_resizes_the_shorter_side_as_torchvision_does(size: tuple[int, int], interpolation: str):
    v2: Any = pytest.importorskip("torchvision.transforms.v2", reason="the extra `vision`")
    levels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(levels)
    theirs = v2.CenterCrop(24)(v2.Resize(32, v2.InterpolationMode(interpolation))(image))
    (ours,) = decoded([image], Form(3, 24, 32, interpolation))
    assert np.array_equal(ours, np.asarray(theirs).transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["F", "I"])
def test_levels_of_unknown_range_are_refused(mode: str):
    with pytest.raises(Refusal):
        image_of_bytes(Image.new(mode, (2, 2)))


def test_what_is_transparent_lies_on_white():
    image = image_of_bytes(Image.new("RGBA", (1, 1), (0, 0, 0, 0))).convert("RGB")
    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_what_is_transparent_in_16_bits_lies_on_white(tmp_path: Path):
    """PNG names one level as transparent, which Pillow leaves to its reader."""
    written = Image.fromarray(np.array([[257, 258]], np.uint16))
    written.save(tmp_path / "grey.png", transparency=257)
    with Image.open(tmp_path / "grey.png") as image:
        assert image.mode == "I;16"
        assert np.array_equal(np.asarray(image_of_bytes(image)), [[255, 1]])


def test_an_image_is_left_as_it_is():
    image = Image.new("L", (4, 2), 7)
    image.getexif()[0x0112] = 6
    decoded([image], Form(1, 2))
    assert image.size == (4, 2)
    assert image.getexif()[0x0112] == 6


def test_a_picture_of_extreme_sides_is_not_blown_up():
    (refusal,) = decoded([Image.new("L", (1, 60_000), 7)], Form(1, 224, 256))
    assert str(refusal) == "1 x 60000 cannot be resized to 256 x 15360000"


# --- augmentation -----------------------------------------------------------------------------------------------------

RANDOM = {
    "flip": "RandomHorizontalFlip",
    "crop": {"type": "RandomCrop", "size": 8, "padding": 2},
    "more": "RandAugment",
}


def augmented(number: int = 40) -> Pictures:
    pytest.importorskip("torchvision", reason="the extra `vision`")
    levels = np.random.default_rng(0).integers(0, 256, (number, 3, 8, 8), dtype=np.uint8)
    augmentation, problems = parse_augmentation(RANDOM, (3, 8, 8))
    assert not problems
    zero, one = np.zeros((3, 1, 1), np.float32), np.ones((3, 1, 1), np.float32)
    return Pictures(levels, np.arange(number), zero, one, augmentation)


def batches(part: Pictures, seed: int, epoch: int, size: int) -> dict[int, bytes]:
    """What each example is in an epoch, read in batches of that size."""
    dataset, order = Batched(part, seed), Shuffle(len(part), seed)
    order.set_epoch(epoch)
    indices = list(order)
    found = dict[int, bytes]()
    for start in range(0, len(indices), size):
        inputs, labels = dataset.__getitems__(indices[start : start + size])
        found |= {int(label): example.numpy().tobytes() for example, label in zip(inputs, labels, strict=True)}
    return found


def test_an_example_is_a_function_of_seed_epoch_and_row():
    part = augmented()
    first = batches(part, seed=3, epoch=5, size=7)
    assert len(first) == 40
    assert batches(part, seed=3, epoch=5, size=16) == first
    for other in (batches(part, seed=4, epoch=5, size=7), batches(part, seed=3, epoch=6, size=7)):
        same = sum(other[label] == first[label] for label in first)
        assert same < 8


def test_torch_is_left_as_it_was():
    before = torch.get_rng_state()
    batches(augmented(4), seed=0, epoch=0, size=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_files_are_taken_by_row(tmp_path: Path):
    for level in range(4):
        Image.new("L", (2, 2), level).save(tmp_path / f"{level}.png")
    files = Files([tmp_path / f"{level}.png" for level in range(4)], Form(1, 1))
    part = Pictures(files, np.arange(4), np.zeros((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32))
    some = part.part(np.array([3, 1]))
    inputs, labels = some.batch(np.array([1, 0]))
    assert np.rint(inputs.ravel() * 255).tolist() == [1, 3]
    assert labels.tolist() == [1, 3]
