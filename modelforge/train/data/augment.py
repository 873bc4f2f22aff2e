"""`Augmentation`: torchvision's transforms by name, each example's own draws a function of a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import quoted, sentence
from modelforge.core.rng import keyed_globals
from modelforge.core.suggestions import did_you_mean
from modelforge.train.arguments import check_arguments, misuse
from modelforge.train.data.files import extra
from modelforge.train.data.parts import Array
from modelforge.train.data.refusals import refusal

RESERVED = {"inplace": "a picture must stay as it is"}
"""Arguments of transforms that a config may not give."""
MIX_BATCHES = ("MixUp", "CutMix")
"""Transforms of a batch with its classes."""
NUM_TRIED = 8
"""Draws with which a transform is tried."""


@dataclass(frozen=True)
class Augmentation:
    """Transforms of a picture of bytes, one after the other."""

    transforms: tuple[nn.Module, ...]

    def __call__(self, levels: Array, key: Sequence[int]) -> Array:
        """A picture `(channels, height, width)`, changed by draws that depend on the key alone."""
        seed, *names = key
        picture = torch.from_numpy(levels)
        with keyed_globals(seed, "augment", *names):
            for transform in self.transforms:
                picture = transform(picture)
        return picture.numpy()


def parse_augmentation(section: Mapping[str, Any], shape: tuple[int, ...]) -> tuple[Augmentation | None, list[Problem]]:
    """Reads the section `data.augment`: a transform of torchvision for each name.

    Args:
        section: A mapping with the `type` of a transform and its arguments under each name, or the type alone.
        shape: Of a picture before and after it.

    Returns:
        The augmentation, None where there is none, and all that is wrong with the section.
    """
    if not section:
        return None, []
    try:
        known = _transforms()
    except ForgeError as error:
        return None, list(error.problems)
    made, problems = list[nn.Module](), list[Problem]()
    picture = torch.zeros(shape, dtype=torch.uint8)
    for name, raw in section.items():
        key = f"data.augment.{name}"
        transform, wrong = _transform(raw, key, known)
        problems += wrong or _misfit(transform, key, picture)
        made += [transform] if transform is not None else []
    return (None, problems) if problems else (Augmentation(tuple(made)), [])


def _transform(raw: Any, path: str, known: Mapping[str, type[nn.Module]]) -> tuple[nn.Module | None, list[Problem]]:
    section = {"type": raw} if isinstance(raw, str) else raw
    if not isinstance(section, Mapping) or not isinstance(section.get("type"), str):
        message = f"a transform must be a name, or a mapping with its `type`, but is {quoted(raw)}"
        return None, [misuse(path, message, "such as `{type: RandomHorizontalFlip, p: 0.5}`")]
    if section["type"] not in known:
        message = f"torchvision has no transform `{section['type']}`"
        return None, [misuse(f"{path}.type" if section is raw else path, message, did_you_mean(section["type"], known))]
    if section["type"] in MIX_BATCHES:
        message = (
            f"{section['type']} mixes pictures and classes of a batch, but `augment` changes one picture at a time"
        )
        return None, [misuse(path, message, "`RandomErasing` hides a part of each picture")]
    arguments = {key: value for key, value in section.items() if key != "type"}
    transform = known[section["type"]]
    ready, problems = check_arguments(transform, arguments, path, reserved=RESERVED)
    if problems:
        return None, problems
    try:
        return transform(**ready), []
    except Exception as error:  # transforms check the values of their arguments with errors of all kinds
        return None, [misuse(path, f"{transform.__name__} refuses its arguments: {sentence(error)}")]


def _misfit(transform: nn.Module | None, path: str, picture: Tensor) -> list[Problem]:
    """The problem of a transform that cannot change such a picture, or gives one of another kind."""
    if transform is None:
        return []
    name, due = type(transform).__name__, f"{tuple(picture.shape)} of bytes"
    for draw in range(NUM_TRIED):
        try:
            with keyed_globals(0, "augment", draw):
                given = transform(picture)
        except Exception as error:  # as above
            return [misuse(path, f"{name} does not take a picture {due}: {sentence(error)}")]
        if not isinstance(given, Tensor):
            return [misuse(path, f"{name} gives no picture, but {type(given).__name__}")]
        if given.shape != picture.shape or given.dtype != picture.dtype:
            found = f"{tuple(given.shape)} of {str(given.dtype).removeprefix('torch.')}"
            hint = f"an augmented picture must stay {picture.shape[-1]} x {picture.shape[-1]}, as `size` is declared"
            return [misuse(path, f"{name} makes {found} from a picture {due}", hint)]
    return []


def _transforms() -> Mapping[str, type[nn.Module]]:
    """The transforms that torchvision has, by name, without those of other transforms and those that it gives up.

    Raises:
        ForgeError: it is not installed, or is a build for another torch.
    """
    module = _torchvision()
    every = {name: it for name, it in vars(module).items() if isinstance(it, type) and issubclass(it, module.Transform)}
    return {
        name: transform
        for name, transform in every.items()
        if "transforms" not in signature(transform).parameters and not transform.__module__.endswith("deprecated")
    }


def _torchvision() -> ModuleType:
    """torchvision's transforms.

    Raises:
        ForgeError: it is not installed, or is a build for another torch.
    """
    try:
        return extra("torchvision.transforms.v2", "`augment`", "vision", "augment")
    except RuntimeError as error:  # of operators that it registers with torch
        message = f"torchvision does not work with torch {torch.__version__}: {sentence(error)}"
        raise refusal("augment", message, "install the builds of both that belong together") from None
