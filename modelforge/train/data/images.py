"""`ImageFolder`: pictures in one folder per class."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import PositiveInt, model_validator

from modelforge.errors import ForgeError, Problem
from modelforge.report.words import plural
from modelforge.settings import num_cores
from modelforge.train.data.files import existing
from modelforge.train.data.parts import Array, Examples, Rows
from modelforge.train.data.refusals import fault, refusal, undeclared
from modelforge.train.data.source import AsTuple, SplitSource, mistake
from modelforge.train.data.split import split

ENDINGS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MAX_BYTES = 8 * 2**30
"""What all pictures may take in memory."""
MAX_SHOWN = 5
Numbers = Annotated[tuple[float, ...], AsTuple]


class ImageFolder(SplitSource):
    """Every folder in `path` is a class, in the order of their names, with the pictures anywhere in it."""

    reads: ClassVar = "path"
    reads_folder: ClassVar = True
    tasks: ClassVar = ("classification", "autoencoding")

    type: Literal["image_folder"]
    path: str | None = None
    """The folder of folders, from the folder that the run starts in."""
    num_classes: PositiveInt
    """How many folders there are."""
    channels: Literal[1, 3] = 3
    """3 for colour, 1 for grey."""
    size: PositiveInt = 32
    """Pictures are made so high and wide: cut to a square from their middle, and resized."""
    mean: Numbers | None = None
    """Of each channel, from 0 to 1, to take off; null for that of the training part."""
    std: Numbers | None = None
    """Of each channel, to divide by; null for that of the training part."""

    @model_validator(mode="after")
    def _check_images(self) -> ImageFolder:
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
        paths, labels = _listed(self, root)
        pixels, broken = _decoded(self, paths)
        warnings = [_left_out(root, paths, broken)] if broken else []
        whole = np.setdiff1d(np.arange(len(paths)), [*broken])
        if not len(whole):
            raise refusal("path", warnings[0].message)
        labels = labels[whole]
        parts = split(self, len(whole), labels)
        scale = _scale(self, pixels[whole[parts[0]]])
        return Examples.of((Pixels(pixels[whole[part]], labels[part], *scale) for part in parts), warnings)


@dataclass(frozen=True)
class Pixels:
    """Pictures as bytes, a quarter of what they take as numbers; scaled when they are dealt out."""

    pixels: Array
    labels: Rows
    mean: Array
    std: Array

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Rows) -> tuple[Array, Array]:
        return (self.pixels[rows].astype(np.float32) / 255 - self.mean) / self.std, self.labels[rows]


def _listed(source: ImageFolder, root: Path) -> tuple[list[Path], Rows]:
    """The pictures and their classes."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = [sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS) for folder in folders]
    if not any(found):
        message = f"`{root}` has no folders with pictures" if not folders else f"no folder in `{root}` holds a picture"
        raise refusal("path", message, f"one folder per class; files end in {', '.join(sorted(ENDINGS))}")
    problems = [
        fault("path", f"the class `{folder.name}` of `{root}` has no picture", "remove the folder, or fill it")
        for folder, paths in zip(folders, found, strict=True)
        if not paths
    ]
    if len(folders) == 1 and source.task == "classification":
        message = f"`{root}` has one folder, and so one class: there is nothing to tell"
        problems.append(fault("path", message, "make a folder for each class"))
    elif len(folders) != source.num_classes:
        problems.append(undeclared("num_classes", "class", len(folders), source.num_classes, f"`{root}`"))
    if needed := list(_too_large(source, sum(map(len, found)))):
        problems += needed
    if problems:
        raise ForgeError(problems)
    labels = np.repeat(np.arange(len(folders)), [len(paths) for paths in found])
    return [path for paths in found for path in paths], labels


def _too_large(source: ImageFolder, number: int) -> Iterator[Problem]:
    size = number * source.channels * source.size**2
    if size > MAX_BYTES:
        message = f"{plural(number, 'picture')} of {source.size} x {source.size} take {size / 2**30:.1f} GiB of memory"
        yield fault("size", f"{message}, and may take {MAX_BYTES / 2**30:.0f}", "write a smaller `data.size=...`")


def _decoded(source: ImageFolder, paths: list[Path]) -> tuple[Array, dict[int, str]]:
    """All pictures as bytes, and why some could not be read."""
    pixels = np.zeros((len(paths), source.channels, source.size, source.size), np.uint8)
    with ThreadPoolExecutor(num_cores()) as pool:
        reasons = list(pool.map(_decode, paths, pixels, repeat(source.size)))
    return pixels, {row: reason for row, reason in enumerate(reasons) if reason}


def _decode(path: Path, out: Array, size: int) -> str:
    """Puts a picture into `out`; returns why it could not, if so."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("L" if len(out) == 1 else "RGB")
            fitted = np.asarray(ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR))
    except Exception as error:  # a damaged file meets decoders with errors of all kinds
        return f"{type(error).__name__}: {error}"
    out[...] = np.atleast_3d(fitted).transpose(2, 0, 1)
    return ""


def _left_out(root: Path, paths: list[Path], broken: dict[int, str]) -> Problem:
    names = [f"`{paths[row].relative_to(root)}`" for row in list(broken)[:MAX_SHOWN]]
    more = f", and {len(broken) - MAX_SHOWN} more" if len(broken) > MAX_SHOWN else ""
    of = f"{len(broken)} of {plural(len(paths), 'picture')} in `{root}`"
    message = f"{of} cannot be read, and are left out: {', '.join(names)}{more}"
    return Problem("MW201", "data.path", message, severity="warning")


def _scale(source: ImageFolder, pixels: Array) -> tuple[Array, Array]:
    """What is taken off each channel, and what it is divided by."""
    counts = [np.bincount(pixels[:, channel].ravel(), minlength=256) for channel in range(source.channels)]
    levels = np.arange(256) / 255
    means = [float(np.average(levels, weights=count)) for count in counts]
    deviations = [
        float(np.sqrt(np.average((levels - mean) ** 2, weights=count))) or 1.0
        for mean, count in zip(means, counts, strict=True)
    ]
    mean, std = source.mean or means, source.std or deviations
    return np.array(mean, np.float32)[:, None, None], np.array(std, np.float32)[:, None, None]
