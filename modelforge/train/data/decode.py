"""decoded: files of pictures → bytes, each cut to a square and made of one size; Pillow reads them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelforge.core.errors import ForgeError, Refusal
from modelforge.core.torch_state import num_cores
from modelforge.train.data.files import opened
from modelforge.train.data.parts import Array

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""As Pillow calls them. For others it may start a program: Ghostscript for a file that begins as EPS."""
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262
"""Tags of TIFF."""


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
    """Puts a picture into `out`; why it could not, if so. Of one that moves it takes the first frame."""
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
        raise Refusal(
            f"{'floats' if image.mode == 'F' else 'whole numbers of 32 bits'} do not say which level is white"
        )
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
