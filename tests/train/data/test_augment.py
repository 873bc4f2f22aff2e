"""Augmentation: transforms of torchvision by name, and everything that is wrong with a section of them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import torch

from modelforge.train.data import augment, files
from modelforge.train.data.augment import parse_augmentation

SHAPE = (3, 32, 32)

needs_torchvision = pytest.mark.skipif(find_spec("torchvision") is None, reason="needs torchvision")


def wrong(section: dict[str, Any]) -> list[tuple[str, str, str]]:
    augmentation, problems = parse_augmentation(section, SHAPE)
    assert (augmentation is None) == bool(problems)
    return [(problem.key, problem.message, problem.hint) for problem in problems]


@needs_torchvision
@pytest.mark.parametrize(
    "name",
    [
        "RandomHorizontalFlip",
        "ColorJitter",
        "RandAugment",
        "TrivialAugmentWide",
        "AutoAugment",
        "AugMix",
        "RandomErasing",
        "RandomPerspective",
        "ElasticTransform",
        "RandomAutocontrast",
    ],
)
def test_transforms_by_name(name: str):
    augmentation, problems = parse_augmentation({"one": name}, SHAPE)
    assert augmentation is not None, problems
    levels = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    before = levels.copy()
    changed = augmentation(levels, (0, 1, 2))
    assert (changed.shape, changed.dtype) == (levels.shape, levels.dtype)
    assert np.array_equal(augmentation(levels, (0, 1, 2)), changed)
    assert np.array_equal(levels, before)


@needs_torchvision
def test_arguments_are_those_of_the_transform():
    section = {"crop": {"type": "RandomCrop", "size": 32, "padding": [4, 8]}}
    section |= {"turn": {"type": "RandomRotation", "degrees": [0, 30], "interpolation": "bilinear"}}
    section |= {"auto": {"type": "AutoAugment", "policy": "cifar10"}}
    assert wrong(section) == []


def test_none_is_none():
    assert parse_augmentation({}, SHAPE) == (None, [])


@needs_torchvision
@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (
            "RandomHorizontalFlp",
            (
                "data.augment.one",
                "torchvision has no transform `RandomHorizontalFlp`",
                "did you mean `RandomHorizontalFlip` or `RandomVerticalFlip`?",
            ),
        ),
        ({"type": "RandomCrop"}, ("data.augment.one", "RandomCrop needs the argument `size`", "add `size: ...`")),
        (
            {"type": "RandomCrop", "size": 24},
            (
                "data.augment.one",
                "RandomCrop makes (3, 24, 24) of uint8 from a picture (3, 32, 32) of bytes",
                "an augmented picture must stay 32 x 32, as `size` is declared",
            ),
        ),
        (
            {"type": "RandomHorizontalFlip", "q": 1},
            ("data.augment.one.q", "RandomHorizontalFlip has no argument `q`", "known: `p`"),
        ),
        (
            {"type": "AutoAugment", "policy": "mnist"},
            (
                "data.augment.one.policy",
                "`policy` of AutoAugment must be 'imagenet' or 'cifar10' or 'svhn', but is 'mnist'",
                "",
            ),
        ),
        (
            {"type": "FiveCrop", "size": 8},
            ("data.augment.one", "FiveCrop gives no picture, but tuple", ""),
        ),
        *(
            (
                {"type": name, "num_classes": 10},
                (
                    "data.augment.one",
                    f"{name} mixes pictures and classes of a batch, but `augment` changes one picture at a time",
                    "`RandomErasing` hides a part of each picture",
                ),
            )
            for name in ("MixUp", "CutMix")
        ),
        (
            {"p": 3},
            (
                "data.augment.one",
                "a transform must be a name, or a mapping with its `type`, but is {'p': 3}",
                "such as `{type: RandomHorizontalFlip, p: 0.5}`",
            ),
        ),
        (
            {"type": "RandomErasing", "inplace": True},
            (
                "data.augment.one.inplace",
                "`inplace` of RandomErasing is not for a config to set",
                "a picture must stay as it is",
            ),
        ),
    ],
)
def test_what_is_refused(section: Any, problem: tuple[str, str, str]):
    assert wrong({"one": section}) == [problem]


@needs_torchvision
@pytest.mark.parametrize(
    ("section", "begins"),
    [
        ({"type": "ColorJitter", "brightness": -1}, "ColorJitter refuses its arguments: If brightness"),
        ("RandomIoUCrop", "RandomIoUCrop does not take a picture (3, 32, 32) of bytes: "),
        ({"type": "RandomRotation", "degrees": 45, "expand": True}, "RandomRotation makes (3, "),
        ({"type": "Lambda", "lambd": "print"}, "`lambd` of Lambda must be Callable"),
        ("RandomApply", "torchvision has no transform `RandomApply`"),
        ("ToTensor", "torchvision has no transform `ToTensor`"),
    ],
)
def test_what_torchvision_refuses_is_said_in_its_words(section: Any, begins: str):
    ((_, message, _),) = wrong({"one": section})
    assert message.startswith(begins)


@needs_torchvision
def test_all_mistakes_at_once():
    found = wrong({"a": "Flip", "b": {"type": "RandomCrop"}, "c": 3, "d": "RandomVerticalFlip"})
    assert [path for path, _, _ in found] == ["data.augment.a", "data.augment.b", "data.augment.c"]


def test_without_torchvision_the_package_is_named(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ModuleNotFoundError("none", name="torchvision")

    monkeypatch.setattr(files, "import_module", missing)
    assert wrong({"flip": "RandomHorizontalFlip"}) == [
        ("data.augment", "`augment` needs `torchvision`, which is not installed", "pip install 'modelforge[vision]'")
    ]


def test_a_torchvision_for_another_torch_is_refused(monkeypatch: pytest.MonkeyPatch):
    def broken(*arguments: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(augment, "extra", broken)
    assert wrong({"flip": "RandomHorizontalFlip"}) == [
        (
            "data.augment",
            f"torchvision does not work with torch {torch.__version__}: operator torchvision::nms does not exist",
            "install the builds of both that belong together",
        )
    ]
