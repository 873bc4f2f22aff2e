"""`Chart`: lines, bands, points and bars as SVG inside a page; colours and letters are those of the page's style."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from markupsafe import Markup, escape

from modelforge.core.quoting import printable
from modelforge.core.words import number
from modelforge.report.ticks import MAX_TICKS, marks_between, tick_labels

WIDTH, HEIGHT = 400, 250
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 38
"""Room for the labels of the axes."""
NUM_COLOURS = 6
"""Colours that the page's style has."""
EQUAL = 1e-9
"""Numbers that differ by no more than this share are drawn as one."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind."""

    label: str
    """In the legend; empty for none."""
    points: Sequence[Point | None]
    """None is a gap of a line."""
    kind: Literal["line", "dashed", "dots", "crosses", "bars"] = "line"
    colour: int = 0
    band: Sequence[tuple[float, float, float]] = ()
    """x, low and high of an area around the line."""
    names: Sequence[str] = ()
    """Of the points, shown where a pointer rests on one."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with axes."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    log: bool = False
    """Whether y is logarithmic; points that are not positive are left out."""
    y_range: tuple[float, float] | None = None
    """The ends of the axis, so that several charts have one; default the least and the greatest value."""
    x_range: tuple[float, float] | None = None
    log_x: bool = False
    """Whether x is logarithmic, too."""
    x_ticks: Sequence[float] = ()
    """Where x has labels; default round numbers."""
    circle: bool = False
    """Whether the unit circle is drawn, and both axes have one scale."""
    size: tuple[int, int] = (WIDTH, HEIGHT)
    """In units of which a letter is 11 high: that of the space where it stands."""

    def __html__(self) -> Markup:
        return svg(self)


_ids = count()


@dataclass(frozen=True, slots=True)
class _Axes:
    """From values to places in the picture."""

    x: tuple[float, float]
    y: tuple[float, float]
    """Logarithms to base 10, where the axis is logarithmic."""
    log: bool
    size: tuple[int, int] = field(default=(WIDTH, HEIGHT))
    log_x: bool = False

    def at(self, x: float, y: float) -> Point:
        """The place of a point; what lies outside is put at the edge."""
        value = math.log10(y) if self.log else y
        along = math.log10(x) if self.log_x else x
        across = (along - self.x[0]) / (self.x[1] - self.x[0])
        up = (value - self.y[0]) / (self.y[1] - self.y[0])
        width, height = self.size[0] - LEFT - RIGHT, self.size[1] - TOP - BOTTOM
        return LEFT + _within(across) * width, TOP + (1 - _within(up)) * height

    def shows(self, point: Point | None) -> bool:
        """Whether a point has a place."""
        return point is not None and _has_place(point, log=self.log, log_x=self.log_x)


def _has_place(point: Point, *, log: bool, log_x: bool) -> bool:
    x, y = point
    return math.isfinite(x) and math.isfinite(y) and (y > 0 or not log) and (x > 0 or not log_x)


def _text(text: str) -> Markup:
    return escape(printable(text))


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))


def svg(chart: Chart) -> Markup:
    """The chart as an `svg` element with a title, and a legend below it."""
    axes = _axes(chart)
    name = f"chart-{next(_ids)}"
    parts = [
        f'<svg viewBox="0 0 {axes.size[0]} {axes.size[1]}" role="img" aria-labelledby="{name}">',
        f'<title id="{name}">{_text(chart.title)}: {_text(_summary(chart))}</title>',
        *_grid(chart, axes),
    ]
    if chart.circle:
        parts.append(_circle(axes))
    for series in chart.series:
        parts += _band(series, axes)
    for series in chart.series:
        parts += _DRAWN[series.kind](series, axes)
    parts.append("</svg>")
    return Markup("\n".join(parts) + _legend(chart))


def _axes(chart: Chart) -> _Axes:
    points = [point for series in chart.series for point in series.points if point is not None]
    points += [(x, edge) for series in chart.series for x, *edges in series.band for edge in edges]
    placed = [point for point in points if _has_place(point, log=chart.log, log_x=chart.log_x)]
    xs, ys = [x for x, _ in placed], [y for _, y in placed]
    if chart.circle:
        reach = max(1.15, *(abs(value) * 1.05 for value in [*xs, *ys]), 0)
        wide = reach * (chart.size[0] - LEFT - RIGHT) / (chart.size[1] - TOP - BOTTOM)
        return _Axes((-wide, wide), (-reach, reach), log=False, size=chart.size)
    low, high = chart.y_range or (min(ys, default=1.0), max(ys, default=1.0))
    if any(series.kind == "bars" for series in chart.series):
        low = min(low, 0.0)
    ends = (math.log10(low), math.log10(high)) if chart.log else (low, high)
    left, right = chart.x_range or (min(xs, default=1.0 if chart.log_x else 0.0), max(xs, default=1.0))
    sides = (math.log10(left), math.log10(right)) if chart.log_x else (left, right)
    return _Axes(
        _spread(sides, 0.04 if chart.log_x else 0.0),
        _spread(ends, 0.04 if chart.log else 0.0),
        chart.log,
        chart.size,
        chart.log_x,
    )


def _spread(ends: tuple[float, float], share: float) -> tuple[float, float]:
    """The ends, apart; with some room beyond them."""
    low, high = ends
    size = max(abs(low), abs(high))
    if high - low <= EQUAL * size:
        half = 0.5 if share or not size else size / 2
        return low - half, high + half
    room = share * (high - low)
    return low - room, high + room


def _grid(chart: Chart, axes: _Axes) -> Iterator[str]:
    width, height = axes.size
    bottom = height - BOTTOM
    left = 10.0 ** axes.x[0] if axes.log_x else axes.x[0]
    rows = marks_between(axes.y, axes.log, MAX_TICKS)
    for mark, label in zip(rows, tick_labels(rows, log=axes.log), strict=True):
        _, y = axes.at(left, 10.0**mark if axes.log else mark)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{width - RIGHT}"/>'
        yield f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    given = [math.log10(tick) if axes.log_x else tick for tick in chart.x_ticks]
    columns = given or marks_between(axes.x, axes.log_x, max(2, (width - LEFT) // 55))
    for mark, label in zip(columns, tick_labels(columns, log=axes.log_x), strict=True):
        x, _ = axes.at(10.0**mark if axes.log_x else mark, 1.0)
        yield f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{label}</text>'
    yield f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{width - RIGHT}"/>'
    middle = (TOP + bottom) / 2
    across = (LEFT + width - RIGHT) / 2
    yield f'<text x="{across:.0f}" y="{height - 5}" text-anchor="middle">{_text(chart.x_label)}</text>'
    yield (
        f'<text x="11" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90 11 {middle:.0f})">'
        f"{_text(chart.y_label)}</text>"
    )


def _colour(series: Series) -> str:
    return f"c{series.colour % NUM_COLOURS}"


def _band(series: Series, axes: _Axes) -> Iterator[str]:
    shown = [(x, low, high) for x, low, high in series.band if axes.shows((x, low)) and axes.shows((x, high))]
    if len(shown) > 1:
        upper = [axes.at(x, high) for x, _, high in shown]
        lower = [axes.at(x, low) for x, low, _ in reversed(shown)]
        yield f'<path class="band {_colour(series)}" d="{_path([*upper, *lower])}Z"/>'


def _line(series: Series, axes: _Axes) -> Iterator[str]:
    runs: list[list[Point]] = [[]]
    for point in series.points:
        if point is not None and axes.shows(point):
            runs[-1].append(axes.at(*point))
        elif runs[-1]:
            runs.append([])
    for run in runs:
        if len(run) == 1:
            yield f'<circle class="dot {_colour(series)}" cx="{run[0][0]:.1f}" cy="{run[0][1]:.1f}" r="2.5"/>'
        elif run:
            yield f'<path class="{series.kind} {_colour(series)}" d="{_path(run)}"/>'


def _dots(series: Series, axes: _Axes) -> Iterator[str]:
    for index, point in enumerate(series.points):
        if point is None or not axes.shows(point):
            continue
        x, y = axes.at(*point)
        name = f"<title>{_text(series.names[index])}</title>" if index < len(series.names) else ""
        yield f'<circle class="dot {_colour(series)}" cx="{x:.1f}" cy="{y:.1f}" r="2.5">{name}</circle>'


def _crosses(series: Series, axes: _Axes) -> Iterator[str]:
    for index, point in enumerate(series.points):
        if point is None or not axes.shows(point):
            continue
        x, y = axes.at(*point)
        name = f"<title>{_text(series.names[index])}</title>" if index < len(series.names) else ""
        arms = f"M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6"
        yield f'<path class="cross {_colour(series)}" d="{arms}">{name}</path>'


def _bars(series: Series, axes: _Axes) -> Iterator[str]:
    """Bars of equal width from zero up, each in the middle of its point."""
    shown = [point for point in series.points if point is not None and axes.shows(point)]
    width = (axes.size[0] - LEFT - RIGHT) / max(len(shown), 1)
    _, zero = axes.at(axes.x[0], 0.0)
    for x, y in shown:
        place, top = axes.at(x, y)
        left = min(max(place - width / 2, LEFT), axes.size[0] - RIGHT - width)
        yield (
            f'<rect class="bar {_colour(series)}" x="{left:.1f}" y="{top:.1f}" width="{max(width - 1, 1):.1f}" '
            f'height="{zero - top:.1f}"/>'
        )


_DRAWN = {"line": _line, "dashed": _line, "dots": _dots, "crosses": _crosses, "bars": _bars}


def _circle(axes: _Axes) -> str:
    x, y = axes.at(0.0, 0.0)
    right, _ = axes.at(1.0, 0.0)
    return f'<circle class="unit" cx="{x:.1f}" cy="{y:.1f}" r="{right - x:.1f}"/>'


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _summary(chart: Chart) -> str:
    """What a person who does not see the chart hears of it."""
    parts: list[str] = []
    for series in chart.series:
        known = [point for point in series.points if point is not None and math.isfinite(point[1])]
        if known:
            ends = f"from {number(_three(known[0][1]))} to {number(_three(known[-1][1]))}"
            parts.append(f"{series.label} {ends}".strip())
    return f"{chart.y_label} by {chart.x_label}; {'; '.join(parts)}"


def _three(value: float) -> float:
    return float(f"{value:.3g}")


def _legend(chart: Chart) -> str:
    named = [series for series in chart.series if series.label]
    if not named:
        return ""
    items = (
        f"<li>{_KEY.format(_MARKS[series.kind].format(_colour(series)))}{_text(series.label)}</li>" for series in named
    )
    return f'\n<ul class="legend">{"".join(items)}</ul>'


_KEY = '<svg class="key" viewBox="0 0 20 10" aria-hidden="true">{}</svg>'
_MARKS = {
    "line": '<path class="line {}" d="M0 5H20"/>',
    "dashed": '<path class="dashed {}" d="M0 5H20"/>',
    "dots": '<circle class="dot {}" cx="10" cy="5" r="3"/>',
    "crosses": '<path class="cross {}" d="M7 2l6 6m0 -6l-6 6"/>',
    "bars": '<rect class="bar {}" x="4" y="0" width="12" height="10"/>',
}
