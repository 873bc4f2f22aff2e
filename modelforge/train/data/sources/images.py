"""`ImageFolder`: pictures in one folder per class."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import PlainValidator, PositiveInt, ValidationError

from modelforge.core.complaints import all_wrong, wrong
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.quoting import listed, quoted
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import plural
from modelforge.train.data.alike import look_alikes
from modelforge.train.data.augment import Augmentation, parse_augmentation
from modelforge.train.data.files import existing
from modelforge.train.data.folders import Listing, PictureFiles, labelled_by, left_out, listing, parted, pictures_in
from modelforge.train.data.parts import Array, Examples, Rows
from modelforge.train.data.pictures import LEVELS, Files, Form, Interpolation, Pictures, Resize, Stored, each_decoded
from modelforge.train.data.refusals import fault, undeclared
from modelforge.train.data.registry import register_data
from modelforge.train.data.source import Bounded, SplitSource, check, check_float32, mistake, new_data
from modelforge.train.data.split import missing

MAX_SHOWN = 5
RESIZES = ("crop", "stretch", "pad")
STATISTICS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""Mean and std with which published weights were trained."""


def _checked_resize(raw: Any) -> Any:
    if (isinstance(raw, str) and raw in RESIZES) or (type(raw) is int and raw > 0):
        return raw
    raise wrong("MF051", f"must be {' or '.join(map(repr, RESIZES))} or a whole number, but is {quoted(raw)}")


def _checked_scale(raw: Any) -> Any:
    if raw is None or (isinstance(raw, str) and raw in ("fitted", *STATISTICS)):
        return raw or "fitted"
    if isinstance(raw, list | tuple) and all(type(one) in (int, float) and math.isfinite(one) for one in raw):
        return tuple(map(float, raw))
    known = ("fitted", *STATISTICS)
    message = f"must be {' or '.join(map(repr, known))} or a number for each channel, but is {quoted(raw)}"
    raise wrong("MF051", message, did_you_mean(raw, known) if isinstance(raw, str) else "")


Scale = Annotated[
    tuple[float, ...] | str, PlainValidator(_checked_scale, json_schema_input_type=str | list[float] | None)
]


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
    split: Literal["random", "folders"] = "random"
    """Whether the three parts are drawn, or are folders `train`, `val` and `test` with the classes in them."""
    cache: bool = True
    """Hold all pictures in memory, as bytes; else each is decoded whenever it is needed."""
    max_bytes: PositiveInt = 8 * 2**30
    """The most bytes of all pictures in memory."""
    channels: Literal[1, 3] = 3
    """3 for colour, 1 for grey."""
    size: PositiveInt = 32
    """Height and width of what the model reads."""
    resize: Annotated[Resize, PlainValidator(_checked_resize, json_schema_input_type=Resize)] = "crop"
    """How a picture becomes a square: `crop` its middle, `stretch` it, or `pad` it with black; a number is the length
    of its shorter side before its middle is cut out."""
    interpolation: Interpolation = "bilinear"
    """How values between pixels are found."""
    mean: Scale = "fitted"
    """To subtract from each channel, from 0 to 1: numbers, those of published weights by name, or `fitted`."""
    std: Scale = "fitted"
    """To divide each channel by: the same; `fitted` is measured on the training part."""
    augment: FrozenDict[str, Any] = FrozenDict()
    """Random changes of the training part's pictures: transforms of torchvision, each under a name of its own."""

    @check
    def _check_images(self) -> Iterator[ValidationError]:
        yield from check_float32(self.input, "pixels are numbers")
        shape = (self.channels, self.size, self.size)
        if self.input.shape != shape:
            yield mistake("input.shape", f"a picture has shape {shape}, but `shape` is {self.input.shape}")
        for name in ("mean", "std"):
            numbers = self._declared(name)
            if numbers is not None and len(numbers) != self.channels:
                yield mistake(name, f"`{name}` must hold one number a channel: {self.channels}, not {len(numbers)}")
        if min(self._declared("std") or (1,)) <= 0:
            yield mistake("std", f"`std` must be greater than 0, but is {list(self.std)}")
        if isinstance(self.resize, int) and self.resize < self.size:
            yield mistake("resize", f"`resize` must be at least `size`, {self.size}, but is {self.resize}")
        _, problems = self._augmentation()
        if problems:
            yield all_wrong((tuple(one.key.split(".")[1:]), wrong(one.code, one.message, one.hint)) for one in problems)

    def read(self) -> Examples:
        """The examples; see `Source.read`. What cannot be decoded is left out, and named in a warning."""
        root = existing(self.path, folder=True)
        found = listing(root, by_part=self.split == "folders")
        self._check_number(found, root)
        levels, moments, broken = self._stored(found.files)
        warnings = list(left_out(root, found.others))
        whole = np.setdiff1d(np.arange(len(found.files)), [*broken])
        labels = found.labels[whole]
        if broken:
            warnings.append(_left_out(root, found.files, broken))
            gone = list(_all_broken(root, found, labels)) if len(whole) else []
            if gone or not len(whole):
                raise ForgeError([fault("path", warnings[-1].message), *gone])
        parts = parted(self, None if found.parts is None else found.parts[whole], labels)
        mean, std = self._scale(moments[whole[parts[0]]])
        warnings += look_alikes(found.classes, "classes", f"`{root}`", "path")
        if self.target_kind == "class":
            warnings += missing(labels, parts, found.classes, f"`{root}`")
        every = Pictures(levels, found.labels, _by_channel(mean), _by_channel(std))
        train, val, test = (whole[part] for part in parts)
        augmentation, _ = self._augmentation()
        fitted = {"classes": list(found.classes), "inputs": {"levels": LEVELS, "mean": mean, "std": std}}
        three = every.part(train, augmentation), every.part(val), every.part(test)
        places = {"file": [found.files[row].relative_to(root).as_posix() for row in test]}
        return replace(Examples.of(three, warnings, fitted), places=places)

    def raw(self, path: Path) -> PictureFiles:
        """The pictures in a folder, at any depth, or one picture."""
        return pictures_in(path)

    def encode(self, raw: Any, fitted: Mapping[str, Any], *, labelled: bool = False) -> Pictures:
        """Pictures as the model takes them.

        Args:
            raw: What `raw` gives; or a list of files, of Pillow's images or of arrays of bytes.
            fitted: What was measured at training time.
            labelled: Whether to give their classes: those of the folders, or `raw` is a pair of pictures and names.

        Raises:
            ForgeError: a picture cannot be decoded, or its class is none of those at training time.
        """
        if isinstance(raw, str) or not isinstance(raw, Sequence | np.ndarray):
            message = f"pictures must be a list of files, of Pillow's images or of arrays, but are {type(raw).__name__}"
            raise new_data(message, "`[picture]` for one")
        pictures, labels = labelled_by(raw, fitted["classes"]) if labelled else (raw, np.zeros(len(raw), np.int64))
        pictures = [Path(one) if isinstance(one, str) else one for one in pictures]
        levels, _, broken = self._stored(pictures)
        if broken:
            root = raw.root if isinstance(raw, PictureFiles) else None
            raise new_data(_unreadable(root, pictures, broken), "leave them out")
        scale = fitted["inputs"]
        return Pictures(levels, labels, _by_channel(scale["mean"]), _by_channel(scale["std"]))

    @property
    def _form(self) -> Form:
        return Form(self.channels, self.size, self.resize, self.interpolation)

    def _augmentation(self) -> tuple[Augmentation | None, list[Problem]]:
        return parse_augmentation(self.augment, self.input.shape)

    def _declared(self, name: Literal["mean", "std"]) -> tuple[float, ...] | None:
        """The mean or std of each channel; None where it is to be measured."""
        scale: Any = getattr(self, name)
        return STATISTICS[scale][name == "std"] if scale in STATISTICS else None if scale == "fitted" else scale

    def _check_number(self, listing: Listing, root: Path) -> None:
        problems, number = list[Problem](), len(listing.classes)
        if number == 1 and self.target_kind == "class":
            message = f"`{root}` has one folder, and so one class: there is nothing to predict"
            problems.append(fault("path", message, "make a folder for each class"))
        elif number != self.num_classes:
            problems.append(undeclared("num_classes", "class", number, self.num_classes, f"`{root}`"))
        size = len(listing.files) * self.channels * self.size**2
        if self.cache and size > self.max_bytes:
            message = f"{plural(len(listing.files), 'picture')} of {self.size} x {self.size} take {size:,} bytes"
            hint = "to decode each when it is needed: `data.cache=false`"
            problems.append(fault("max_bytes", f"{message}, but `max_bytes` is {self.max_bytes:,}", hint))
        if problems:
            raise ForgeError(problems)

    def _stored(self, pictures: Sequence[Any]) -> tuple[Stored, Array, dict[int, Refusal]]:
        """Levels of pictures, moments of each, and what is wrong with those that cannot be decoded."""
        shape = (len(pictures), self.channels, self.size, self.size)
        levels = np.zeros(shape, np.uint8) if self.cache else Files(pictures, self._form)
        moments, broken = np.zeros((*shape[:2], 2), np.int64), dict[int, Refusal]()
        for row, one in enumerate(each_decoded(pictures, self._form)):
            if isinstance(one, Refusal):
                broken[row] = one
                continue
            wide = one.astype(np.int64)
            moments[row] = np.stack([wide.sum((1, 2)), (wide**2).sum((1, 2))], axis=1)
            if isinstance(levels, np.ndarray):
                levels[row] = one
        return levels, moments, broken

    def _scale(self, moments: Array) -> tuple[list[float], list[float]]:
        """The mean to subtract from each channel, and the std to divide it by; exact in whole numbers."""
        size, total = len(moments) * self.size**2, moments.sum(0).tolist()
        means = [first / size / LEVELS for first, _ in total]
        stds = [max(size * second - first**2, 0) ** 0.5 / size / LEVELS or 1.0 for first, second in total]
        return [*(self._declared("mean") or means)], [*(self._declared("std") or stds)]


def _by_channel(numbers: Sequence[float]) -> Array:
    return np.array(numbers, np.float32)[:, None, None]


def _left_out(root: Path, pictures: Sequence[Path], broken: Mapping[int, Refusal]) -> Problem:
    """The warning about pictures that cannot be read."""
    verb = "is" if len(broken) == 1 else "are"
    return Problem(
        "MW201", "data.path", _unreadable(root, pictures, broken, f", and {verb} left out"), severity="warning"
    )


def _unreadable(root: Path | None, pictures: Sequence[Any], broken: Mapping[int, Refusal], then: str = "") -> str:
    where = f" in `{root}`" if root else ""
    names = [
        str(pictures[row].relative_to(root) if root else pictures[row])
        if isinstance(pictures[row], Path)
        else f"picture {row + 1}"
        for row in broken
    ]
    reasons = sorted({str(reason) for reason in broken.values()} - {""})
    why = f" ({'; '.join(reasons)})" if reasons else ""
    of = f"{len(broken)} of {plural(len(pictures), 'picture')}{where} cannot be read{then}"
    return f"{of}: {listed(names, MAX_SHOWN, quote='`')}{why}"


def _all_broken(root: Path, listing: Listing, whole: Rows) -> Iterator[Problem]:
    """The problems of classes of which no picture is left."""
    for name, number in zip(listing.classes, np.bincount(whole, minlength=len(listing.classes)), strict=True):
        if not number:
            message = f"of the class `{name}` of `{root}` no picture can be read"
            yield fault("path", message, "remove the folder, or bring pictures that can")
