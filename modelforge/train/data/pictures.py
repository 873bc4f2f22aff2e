"""Pictures: `Form` is what each becomes, `decoded` decodes several, `Pictures` is a part of the data."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from rich.console import Console
from rich.progress import Progress

from modelforge.core.errors import ForgeError, Refusal
from modelforge.core.quoting import sentence
from modelforge.core.torch_state import num_cores
from modelforge.train.data.augment import Augmentation
from modelforge.train.data.files import opened
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import refusal

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""By Pillow's names. For other formats it may start a program, as Ghostscript for EPS."""
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262
"""Tags of TIFF."""
LEVELS = 255
CHUNK = 256
"""Pictures that are decoded at a time."""

Resize = Literal["crop", "stretch", "pad"] | int
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Form:
    """What every picture becomes: an array of bytes `(channels, size, size)`."""

    channels: int
    size: int
    resize: Resize = "crop"
    """How a picture becomes a square; a number is the length of its shorter side before the middle is cut out."""
    interpolation: Interpolation = "bilinear"

    def __call__(self, image: Image) -> Array:
        """The levels of a picture, upright, on white where it is transparent.

        Raises:
            Refusal: its levels have no defined white.
        """
        from PIL import ImageOps

        ImageOps.exif_transpose(image, in_place=True)
        plain = image_of_bytes(image).convert("L" if self.channels == 1 else "RGB")
        return np.atleast_3d(np.asarray(self._square(plain))).transpose(2, 0, 1)

    def _square(self, image: Image) -> Image:
        from PIL import Image, ImageOps

        shape, method = (self.size, self.size), Image.Resampling[self.interpolation.upper()]
        match self.resize:
            case "stretch":
                return image.resize(shape, method)
            case "pad":
                return ImageOps.pad(image, shape, method)
            case "crop":
                return ImageOps.fit(image, shape, method)
            case int(shorter):
                # as `Resize(shorter)` and `CenterCrop(size)` of torchvision
                width, height = (int(shorter * side / min(image.size)) for side in image.size)
                if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):
                    raise Refusal(f"{image.width} x {image.height} cannot be resized to {width} x {height}")
                left, top = round((width - self.size) / 2), round((height - self.size) / 2)
                whole = image.resize((width, height), method)
                return whole.crop((left, top, left + self.size, top + self.size))


class Stored(Protocol):
    """Levels of pictures `(pictures, channels, size, size)`: an array in memory, or files."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Rows, /) -> Array: ...


@dataclass(frozen=True)
class Files:
    """Pictures that are decoded each time they are asked for."""

    paths: Sequence[Any]
    form: Form

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Rows) -> Array:
        chosen, found = [self.paths[row] for row in rows], list[Array]()
        for path, levels in zip(chosen, decoded(chosen, self.form), strict=True):
            if isinstance(levels, Refusal):
                why = f": {levels}" if str(levels) else ""
                raise refusal("path", f"`{path}` can no longer be read{why}", "put it back, and resume the run")
            found.append(levels)
        return np.stack(found)


@dataclass(frozen=True)
class Pictures:
    """Pictures as bytes, a quarter of what they take as numbers; scaled in each batch."""

    levels: Stored
    targets: Rows
    mean: Array
    """To subtract from each channel, as a share of white."""
    std: Array
    """To divide each channel by."""
    augmentation: Augmentation | None = None

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, rows: Rows) -> tuple[Array, Array]:
        return self._scaled(self.levels[rows]), self.targets[rows]

    def varied(self, rows: Rows, keys: Sequence[tuple[int, ...]]) -> tuple[Array, Array]:
        """A batch, each example augmented by its key."""
        if self.augmentation is None:
            return self.batch(rows)
        pairs = zip(self.levels[rows], keys, strict=True)
        varied = [self.augmentation(levels, key) for levels, key in pairs]
        return self._scaled(np.stack(varied)), self.targets[rows]

    def part(self, rows: Rows, augmentation: Augmentation | None = None) -> Pictures:
        """Some of the pictures."""
        files = self.levels
        kept = replace(files, paths=[files.paths[row] for row in rows]) if isinstance(files, Files) else files[rows]
        return replace(self, levels=kept, targets=self.targets[rows], augmentation=augmentation)

    def _scaled(self, levels: Array) -> Array:
        return (levels.astype(np.float32) / LEVELS - self.mean) / self.std


def each_decoded(sources: Sequence[Any], form: Form) -> Iterator[Array | Refusal]:
    """What `decoded` gives of all pictures, some at a time; a terminal shows how many there are."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for start in progress.track(range(0, len(sources), CHUNK), description="reading pictures"):
            yield from decoded(sources[start : start + CHUNK], form)


def decoded(sources: Sequence[Any], form: Form) -> list[Array | Refusal]:
    """The levels of pictures: files, Pillow's images, or arrays of bytes `(height, width[, channels])`.

    Of one that cannot be decoded, the refusal; its text is empty unless the reason is known.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strange metadata, while the pixels are well
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with ThreadPoolExecutor(num_cores()) as pool:
            return list(pool.map(partial(_decoded, form=form), sources))


def _decoded(source: Any, form: Form) -> Array | Refusal:
    from PIL import Image

    try:
        if isinstance(source, Image.Image):
            return form(source.copy())
        if not isinstance(source, Path):
            return form(Image.fromarray(_of_bytes(source)))
        with opened(source, "path") as file, Image.open(file, formats=FORMATS) as image:
            return form(image)
    except Refusal as error:
        return error
    except ForgeError:
        return Refusal("a pipe, a socket or a device is not a picture")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return Refusal(f"more than {Image.MAX_IMAGE_PIXELS:,} pixels")
    except OSError as error:
        return Refusal(sentence(error) if error.strerror else "")
    except Exception:  # a damaged file meets decoders with errors of all kinds
        return Refusal("")


def _of_bytes(source: Any) -> Array:
    """An array that is a picture.

    Raises:
        Refusal: it is none of bytes `(height, width[, channels])`.
    """
    if not isinstance(source, np.ndarray) or source.dtype != np.uint8 or source.ndim not in (2, 3):
        shape = f" {tuple(source.shape)} of {source.dtype}" if hasattr(source, "shape") else ""
        raise Refusal(f"an array must be of uint8 (height, width[, channels]), not {type(source).__name__}{shape}")
    return source


def image_of_bytes(image: Image) -> Image:
    """A picture with levels of 8 bits, on white where it is transparent.

    Pillow's own `convert` cuts what is above 255, and drops transparency, under which a picture may be of one colour.

    Raises:
        Refusal: its levels are floats, or whole numbers of 32 bits.
    """
    from PIL import Image

    if image.mode in ("F", "I") and image.format not in ("PNG", "PPM"):  # in these an `I` has 16 bits
        levels = "floats" if image.mode == "F" else "whole numbers of 32 bits"
        raise Refusal(f"{levels} do not define which level is white")
    if image.mode.startswith("I"):
        tags = getattr(image, "tag_v2", {})
        white = 4095 if tags.get(BITS_PER_SAMPLE) == (12,) else 65535
        stored = np.asarray(image)
        levels = np.rint(stored * (255 / white))
        inverted = tags.get(PHOTOMETRIC) == 0  # which Pillow leaves as it is, but for 8 bits
        shown = (255 - levels if inverted else levels).clip(0, 255)
        if isinstance(transparent := image.info.get("transparency"), int):  # which Pillow does not know of 16 bits
            shown = np.where(stored == transparent, 255, shown)
        return Image.fromarray(shown.astype(np.uint8))
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colour)
    return image
