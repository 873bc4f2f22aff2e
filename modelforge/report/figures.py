"""`Figure`: data that matplotlib draws into a PNG or an SVG. The caller writes the data itself to a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from modelforge.core.errors import ForgeError, Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1f5fa8"
MAX_LABELS = 40
"""Rows of a heat map that are labelled; more would overlap."""
MAX_WRITTEN = 12
"""Rows of a heat map up to which the numbers are written into the cells."""


@dataclass(frozen=True)
class Figure(ABC):
    """One picture with axes."""

    title: str
    x_label: str
    y_label: str

    @abstractmethod
    def draw(self, axes: Axes) -> None:
        """Draws the data."""


@dataclass(frozen=True)
class HeatMap(Figure):
    """A matrix of counts, darker where they are larger; one colour scale for each row, so that rare rows are seen."""

    labels: Sequence[str]
    values: Sequence[Sequence[int]]

    def draw(self, axes: Axes) -> None:
        shares = [[value / max(sum(row), 1) for value in row] for row in self.values]
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.figure.colorbar(image, ax=axes, label="share of the row", fraction=0.046, pad=0.04)
        places = range(len(self.labels))
        if len(self.labels) <= MAX_LABELS:
            rotation = 90 if max(map(len, self.labels), default=0) > 3 else 0
            axes.set_xticks(places, self.labels, rotation=rotation, parse_math=False)
            axes.set_yticks(places, self.labels, parse_math=False)
        if len(self.labels) <= MAX_WRITTEN:
            for row, column in ((row, column) for row in places for column in places):
                colour = "white" if shares[row][column] > 0.5 else "black"
                axes.text(column, row, f"{self.values[row][column]:,}", ha="center", va="center", color=colour, size=8)


@dataclass(frozen=True)
class Points(Figure):
    """Points, and a line where they should lie: the diagonal, or zero."""

    x: Sequence[float]
    y: Sequence[float]
    ideal: str = "diagonal"

    def draw(self, axes: Axes) -> None:
        axes.scatter(self.x, self.y, s=9, alpha=0.5, color=INK, edgecolors="none")
        if self.ideal == "diagonal":
            both = [*self.x, *self.y]
            axes.plot([min(both), max(both)], [min(both), max(both)], color="grey", linewidth=1)
        else:
            axes.axhline(0, color="grey", linewidth=1)


@dataclass(frozen=True)
class Bars(Figure):
    """Shares from 0 to 1 over bins from 0 to 1, against the diagonal on which they should lie."""

    edges: Sequence[float]
    heights: Sequence[float]

    def draw(self, axes: Axes) -> None:
        width = self.edges[1] - self.edges[0]
        axes.bar(self.edges[:-1], self.heights, width=width, align="edge", color=INK, edgecolor="white", linewidth=0.5)
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)


def draw(figure: Figure, path: Path) -> None:
    """Draws a figure into a file, in the format of its ending.

    Raises:
        ForgeError: matplotlib is not installed.
    """
    _canvas([figure], (6, 5), str(path)).savefig(path, dpi=120)


def draw_side_by_side(figures: Sequence[Figure], out: BinaryIO) -> None:
    """Draws figures in a row, as one PNG.

    Raises:
        ForgeError: matplotlib is not installed.
    """
    _canvas(figures, (5.5 * len(figures), 4), "--format png").savefig(out, dpi=110, format="png")


def _canvas(figures: Sequence[Figure], size: tuple[float, float], wanted: str) -> Any:
    try:
        from matplotlib.figure import Figure as Canvas
    except ModuleNotFoundError:
        hint = "pip install 'modelforge[plots]'"
        raise ForgeError([Problem("MF151", wanted, "plots need `matplotlib`, which is not installed", hint)]) from None
    except ImportError as error:
        message = f"plots need `matplotlib`, which cannot be imported: {error}"
        raise ForgeError([Problem("MF151", wanted, message, "install it again")]) from None
    canvas: Any = Canvas(figsize=size, layout="constrained")
    for figure, axes in zip(figures, canvas.subplots(1, len(figures), squeeze=False)[0], strict=True):
        # Names of the user's hold dollars that are no formulas.
        axes.set_title(figure.title, parse_math=False)
        axes.set_xlabel(figure.x_label, parse_math=False)
        axes.set_ylabel(figure.y_label, parse_math=False)
        axes.spines[["top", "right"]].set_visible(False)
        figure.draw(axes)
    return canvas
