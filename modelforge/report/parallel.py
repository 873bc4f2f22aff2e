"""`Parallel`: parallel coordinates as SVG: an axis for each key, a line for each item, the best ones in colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from markupsafe import Markup, escape

from modelforge.core.quoting import printable
from modelforge.core.words import cut

HEIGHT, TOP, BOTTOM, SIDE = 300, 34, 12, 55
STEP = 130
"""Between two axes."""
MAX_LETTERS = 18
GAP = 13
"""Between two labels of an axis."""

_ids = count()


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: places from 0 (bottom) to 1 with labels."""

    name: str
    marks: Sequence[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Strand:
    """One item: its place on each axis, None where it has none."""

    places: Sequence[float | None]
    colour: int
    name: str


@dataclass(frozen=True, slots=True)
class Parallel:
    """A picture of items with several coordinates."""

    title: str
    axes: Sequence[Axis]
    strands: Sequence[Strand]
    """Drawn in their order: the last one on top."""
    legend: Sequence[tuple[int, str]] = ()

    def __html__(self) -> Markup:
        return _svg(self)


def _svg(chart: Parallel) -> Markup:
    name = f"parallel-{next(_ids)}"
    width = 2 * SIDE + STEP * (len(chart.axes) - 1)
    parts = [
        f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-labelledby="{name}">',
        f'<title id="{name}">{_text(chart.title)}</title>',
    ]
    for strand in chart.strands:
        points = [(index, place) for index, place in enumerate(strand.places) if place is not None]
        path = "L".join(f"{_x(index):.0f} {_y(place):.1f}" for index, place in points)
        parts.append(f'<path class="strand c{strand.colour}" d="M{path}"><title>{_text(strand.name)}</title></path>')
    for index, axis in enumerate(chart.axes):
        x = _x(index)
        parts.append(f'<path class="axis" d="M{x:.0f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.0f}" y="{TOP - 18}" text-anchor="middle">{_text(_short(axis.name))}</text>')
        last = -GAP
        for place, label in sorted(axis.marks, reverse=True):
            y = _y(place)
            if y - last >= GAP:
                parts.append(f'<text class="halo" x="{x + 4:.0f}" y="{y + 4:.1f}">{_text(_short(label))}</text>')
                last = y
    items = "".join(
        f'<li><svg class="key" viewBox="0 0 20 10" aria-hidden="true"><path class="line c{colour}" d="M0 5H20"/></svg>'
        f"{_text(label)}</li>"
        for colour, label in chart.legend
    )
    return Markup("\n".join([*parts, "</svg>"]) + (f'\n<ul class="legend">{items}</ul>' if items else ""))


def _x(index: int) -> float:
    return SIDE + STEP * index


def _y(place: float) -> float:
    return TOP + (1 - place) * (HEIGHT - TOP - BOTTOM)


def _short(text: str) -> str:
    return cut(text, MAX_LETTERS)


def _text(text: str) -> Markup:
    return escape(printable(text))
