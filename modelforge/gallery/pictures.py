"""Pictures of a result as SVG files, for a page that is kept beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelforge.core.errors import ForgeError
from modelforge.core.files import unwritable
from modelforge.gallery.profile import Curve
from modelforge.gallery.result import Picture, Result
from modelforge.report.figures import Figure, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f5fa8", "#c4541c", "#2c8a4b", "#8a3fa0", "#8f6a00", "#5c6670")
"""Of the variants, in their order."""


@dataclass(frozen=True)
class Lines(Figure):
    """Lines of several variants, one for each seed."""

    curves: Mapping[str, tuple[Curve, ...]]
    log: bool = False

    def draw(self, axes: Axes) -> None:
        if self.log:
            axes.set_yscale("log")
        for index, (name, seeded) in enumerate(self.curves.items()):
            for number, curve in enumerate(seeded):
                label = name if number == 0 else "_"  # which a legend leaves out
                axes.plot(curve.x, curve.y, color=COLOURS[index % len(COLOURS)], linewidth=1.2, alpha=0.8, label=label)
        axes.legend(frameon=False)


def figure(picture: Picture) -> Lines:
    """The picture for matplotlib."""
    profile = picture.profile
    return Lines(profile.title, profile.x_label, profile.y_label, picture.curves, profile.log)


def file_names(result: Result) -> Iterator[tuple[str, Picture]]:
    """The file of each picture of a result: `gallery_relu_depth_1.svg`."""
    for number, picture in enumerate(result.pictures, 1):
        yield f"gallery_{result.name}_{number}.svg", picture


def check_folder(folder: Path) -> None:
    """Checks before claims are measured that there is a folder for pictures.

    Raises:
        ForgeError: there is none.
    """
    if not folder.is_dir():
        raise ForgeError(
            [unwritable(str(folder), f"there is no folder `{folder}`", "--pictures", "make the folder first")]
        )


def write_pictures(results: tuple[Result, ...], folder: Path) -> None:
    """Draws the pictures of all results into a folder.

    Raises:
        ForgeError: a picture cannot be written, or matplotlib is not installed.
    """
    for result in results:
        for name, picture in file_names(result):
            draw(figure(picture), folder / name)
