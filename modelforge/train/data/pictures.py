"""Folders of pictures: `walk` lists the files, `laid_out` sees folders that are no classes, `decoded` reads pixels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelforge.core.errors import ForgeError, Refusal
from modelforge.core.quoting import listed
from modelforge.core.torch_state import num_cores
from modelforge.train.data.files import opened
from modelforge.train.data.parts import Array

if TYPE_CHECKING:
    from PIL.Image import Image

PARTS = frozenset({"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"})
"""Usual names of the parts of a data set."""
MAX_SHOWN = 5
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""By Pillow's names. For other formats it may start a program, as Ghostscript for EPS."""
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262
"""Tags of TIFF."""


@dataclass(frozen=True)
class Folder:
    """The files below the folder of a class."""

    path: Path
    pictures: tuple[Path, ...]
    others: tuple[Path, ...]
    """Files that do not end as pictures do, and links to folders: these are not followed."""
    inner: frozenset[str]
    """Names of the folders directly in it."""

    @property
    def holds_folders_alone(self) -> bool:
        """Whether pictures lie in its folders and none beside these."""
        return bool(self.inner) and all(path.parent != self.path for path in self.pictures)


def walk(root: Path, endings: Collection[str]) -> Folder:
    """Everything below `root`, sorted by name, except hidden files and folders: their names begin with a dot.

    Raises:
        OSError: a folder may not be read.
    """
    pictures, others, inner = list[Path](), list[Path](), frozenset[str]()
    for place, folders, names in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if Path(place) == root:
            inner = frozenset(folders)
        others += [path for name in folders if (path := Path(place, name)).is_symlink()]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            (pictures if path.suffix.lower() in endings else others).append(path)
    return Folder(root, tuple(sorted(pictures)), tuple(sorted(others)), inner)


def laid_out(folders: Sequence[Folder]) -> str:
    """The reason why folders are parts of the data, such as `train` and `val`, and not classes; empty for classes."""
    if len(folders) < 2 or not all(folder.holds_folders_alone for folder in folders):
        return ""
    names = folders[0].inner.union(*(folder.inner for folder in folders))
    same = len(names) > 1 and all(folder.inner == names for folder in folders)
    if same:
        return f"each holds folders of the same names, {listed(sorted(names), MAX_SHOWN, quote='`')}"
    called_so = {folder.path.name.lower() for folder in folders} <= PARTS
    return "they are called as parts of the data are, and hold folders" if called_so else ""


def _raise(error: OSError) -> None:
    raise error


def decoded(paths: Sequence[Path], out: Array) -> dict[int, str]:
    """Puts the pictures into `out`, an array of (pictures, channels, height, width).

    Returns:
        The rows that could not be read, and the reason where it is one of ours.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strange metadata, while the pixels are well
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with ThreadPoolExecutor(num_cores()) as pool:
            reasons = list(pool.map(_decode, paths, out))
    return {row: reason for row, reason in enumerate(reasons) if reason is not None}


def _decode(path: Path, out: Array) -> str | None:
    """Puts a picture, of an animation the first frame, into `out`; else returns the reason why not."""
    from PIL import Image, ImageOps

    try:
        with opened(path, "path") as file, Image.open(file, formats=FORMATS) as image:
            ImageOps.exif_transpose(image, in_place=True)
            plain = image_of_bytes(image).convert("L" if len(out) == 1 else "RGB")
            fitted = np.asarray(ImageOps.fit(plain, out.shape[1:][::-1], Image.Resampling.BILINEAR))
    except Refusal as error:
        return str(error)
    except ForgeError:
        return "a pipe, a socket or a device is no picture"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    except Exception:  # a damaged file meets decoders with errors of all kinds
        return ""
    out[...] = np.atleast_3d(fitted).transpose(2, 0, 1)
    return None


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
        levels = np.rint(np.asarray(image) * (255 / white))
        inverted = tags.get(PHOTOMETRIC) == 0  # which Pillow leaves as it is, but for 8 bits
        return Image.fromarray((255 - levels if inverted else levels).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), colour)
    return image
