"""`ImageFolder`: pictures in one folder per class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import PositiveInt, model_validator

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import AsTuple
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.train.data.alike import look_alikes
from modelforge.train.data.files import existing
from modelforge.train.data.labels import ordered
from modelforge.train.data.parts import Array, Examples, Rows
from modelforge.train.data.pictures import Folder, decoded, laid_out, walk
from modelforge.train.data.refusals import fault, refusal, undeclared
from modelforge.train.data.registry import register_data
from modelforge.train.data.source import Bounded, SplitSource, check_float32, mistake
from modelforge.train.data.split import missing, split

ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MAX_SHOWN = 5
Numbers = Annotated[tuple[float, ...], AsTuple]


@register_data("image_folder")
class ImageFolder(Bounded, SplitSource):
    """Every folder in `path` is a class, in the order of their names, with the pictures anywhere in it.

    What begins with a dot is hidden, and not looked at.
    """

    reads: ClassVar = "path"
    reads_folder: ClassVar = True
    target_kinds: ClassVar = ("class", "input")

    path: str | None = None
    """The folder of folders, relative to the folder in which the run starts."""
    num_classes: PositiveInt
    """How many folders there are."""
    max_bytes: PositiveInt = 8 * 2**30
    """The most bytes of all pictures in memory."""
    channels: Literal[1, 3] = 3
    """3 for colour, 1 for grey."""
    size: PositiveInt = 32
    """Height and width: pictures are cut to a square from their middle, and resized."""
    mean: Numbers | None = None
    """The value to subtract from each channel, from 0 to 1; null for the mean of the training part."""
    std: Numbers | None = None
    """The value to divide each channel by; null for the std of the training part."""

    @model_validator(mode="after")
    def _check_images(self) -> ImageFolder:
        check_float32(self.input, "pixels are numbers")
        shape = (self.channels, self.size, self.size)
        if self.input.shape != shape:
            raise mistake("input.shape", f"a picture has shape {shape}, but `shape` is {self.input.shape}")
        for name in ("mean", "std"):
            numbers = getattr(self, name)
            if numbers is not None and len(numbers) != self.channels:
                raise mistake(name, f"`{name}` must hold one number a channel: {self.channels}, not {len(numbers)}")
        if self.std is not None and min(self.std) <= 0:
            raise mistake("std", f"`std` must be greater than 0, but is {list(self.std)}")
        return self

    def read(self) -> Examples:
        """The examples; see `Source.read`. What cannot be decoded is left out, and named in a warning."""
        root = existing(self.path, folder=True)
        folders, warnings = _listed(self, root)
        paths = [path for folder in folders for path in folder.pictures]
        labels = np.repeat(np.arange(len(folders)), [len(folder.pictures) for folder in folders])
        pixels = np.zeros((len(paths), self.channels, self.size, self.size), np.uint8)
        broken = decoded(paths, pixels)
        whole = np.setdiff1d(np.arange(len(paths)), [*broken])
        if broken:
            warnings.append(_broken(root, paths, broken))
            problems = [fault("path", warnings[-1].message)]
            if len(whole):
                problems += _all_broken(root, folders, np.bincount(labels[whole], minlength=len(folders)))
            if len(problems) > 1 or not len(whole):
                raise ForgeError(problems)
        labels = labels[whole]
        parts = split(self, len(whole), labels)
        scale = _scale(self, pixels[whole[parts[0]]])
        names = [folder.path.name for folder in folders]
        warnings += look_alikes(names, "classes", f"`{root}`", "path")
        if self.target_kind == "class":
            warnings += missing(labels, parts, names, f"`{root}`")
        mean, std = (numbers.ravel().tolist() for numbers in scale)
        fitted = {"classes": names, "inputs": {"levels": 255, "mean": mean, "std": std}}
        return Examples.of((Pixels(pixels[whole[part]], labels[part], *scale) for part in parts), warnings, fitted)


@dataclass(frozen=True)
class Pixels:
    """Pictures as bytes, a quarter of what they take as numbers; scaled in each batch."""

    pixels: Array
    labels: Rows
    mean: Array
    std: Array

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Rows) -> tuple[Array, Array]:
        return (self.pixels[rows].astype(np.float32) / 255 - self.mean) / self.std, self.labels[rows]


def _listed(source: ImageFolder, root: Path) -> tuple[list[Folder], list[Problem]]:
    """The classes with their pictures, and warnings about other files."""
    places = {path.name: path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    folders = [walk(places[name], ENDINGS) for name in ordered(places)]
    if not any(folder.pictures for folder in folders):
        message = f"`{root}` has no folders with pictures" if not folders else f"no folder in `{root}` holds a picture"
        raise refusal("path", message, f"one folder per class; files end in {', '.join(sorted(ENDINGS))}")
    if shared := laid_out(folders):
        one = folders[0].path.name
        message = f"the folders of `{root}` are no classes: {shared}"
        way = f"one of them: `data.path={root / one}`; or put the pictures of a class right into its folder"
        raise refusal("path", message, way)
    empty = [folder.path.name for folder in folders if not folder.pictures]
    hint = "remove the folder, or fill it"
    problems = [fault("path", f"the class `{name}` of `{root}` has no picture", hint) for name in empty]
    if len(folders) == 1 and source.target_kind == "class":
        message = f"`{root}` has one folder, and so one class: there is nothing to predict"
        problems.append(fault("path", message, "make a folder for each class"))
    elif len(folders) != source.num_classes:
        problems.append(undeclared("num_classes", "class", len(folders), source.num_classes, f"`{root}`"))
    number = sum(len(folder.pictures) for folder in folders)
    size = number * source.channels * source.size**2
    if size > source.max_bytes:
        message = f"{plural(number, 'picture')} of {source.size} x {source.size} take {size:,} bytes of memory"
        hint = f"write a smaller `data.size=...`, or `data.max_bytes={size}`"
        problems.append(fault("size", f"{message}, but `max_bytes` is {source.max_bytes:,}", hint))
    if problems:
        raise ForgeError(problems)
    loose = [path for path in sorted(root.iterdir()) if not path.name.startswith(".") and not path.is_dir()]
    return folders, list(_others(root, [*loose, *(path for folder in folders for path in folder.others)]))


def _others(root: Path, paths: list[Path]) -> Iterator[Problem]:
    if paths:
        one = "lies in no class or does not end as pictures do, and is"
        verbs = one if len(paths) == 1 else "lie in no class or do not end as pictures do, and are"
        names = listed([path.relative_to(root) for path in paths], MAX_SHOWN, quote="`")
        yield _left_out(f"{plural(len(paths), 'file')} in `{root}` {verbs} left out: {names}")


def _broken(root: Path, paths: list[Path], broken: dict[int, str]) -> Problem:
    names = [f"{paths[row].relative_to(root)}" for row in broken]
    reasons = sorted({reason for reason in broken.values() if reason})
    why = f" ({'; '.join(reasons)})" if reasons else ""
    of = f"{len(broken)} of {plural(len(paths), 'picture')} in `{root}`"
    verb = "is" if len(broken) == 1 else "are"
    return _left_out(f"{of} cannot be read, and {verb} left out: {listed(names, MAX_SHOWN, quote='`')}{why}")


def _left_out(message: str) -> Problem:
    return Problem("MW201", "data.path", message, severity="warning")


def _all_broken(root: Path, folders: list[Folder], whole: Rows) -> Iterator[Problem]:
    for folder, number in zip(folders, whole, strict=True):
        if not number:
            message = f"of the class `{folder.path.name}` of `{root}` no picture can be read"
            yield fault("path", message, "remove the folder, or bring pictures that can")


def _scale(source: ImageFolder, pixels: Array) -> tuple[Array, Array]:
    """The mean to subtract from each channel, and the std to divide it by."""
    levels, measured = np.arange(256) / 255, list[tuple[float, float]]()
    for channel in range(source.channels):
        counts = np.bincount(pixels[:, channel].ravel(), minlength=256)
        mean = float(np.average(levels, weights=counts))
        measured.append((mean, float(np.sqrt(np.average((levels - mean) ** 2, weights=counts))) or 1.0))
    means, stds = zip(*measured, strict=True)
    mean, std = (np.array(numbers, np.float32)[:, None, None] for numbers in (source.mean or means, source.std or stds))
    return mean, std
