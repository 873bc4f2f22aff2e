"""charts: a sweep → its pictures, each of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, log10
from pathlib import Path
from statistics import fmean, stdev
from typing import TypeVar

from modelforge.core.words import number
from modelforge.report.charts import Chart, Point, Series
from modelforge.report.parallel import Axis, Parallel, Strand
from modelforge.report.ticks import tick_labels
from modelforge.results.curves import Curve, read_curve
from modelforge.results.grouping import Group, Grouped
from modelforge.results.starts import RunStart
from modelforge.results.sweep import Row, Sweep
from modelforge.results.values import as_number, in_order
from modelforge.results.words import values_text

MAX_SERIES = 6
"""Colours of a chart: more values of a key become one line."""
MAX_DOTS = 600
MAX_CROSSES = 200
MAX_POINTS = 200
"""Points of a line."""
MAX_CURVES = 24
"""Small multiples of learning curves."""
MAX_SEEDS = 6
"""Curves of one of them."""
MAX_STRANDS = 300
MAX_SIDE = 40
"""Rows and columns of a heat map."""
MAX_LETTERS = 40
"""Letters of labels that have room along an axis."""
WIDE = 8
"""The ratio of an axis's ends from which on it is logarithmic."""
SMALL = (270, 180)

Item = TypeVar("Item")


def by_axes(grouped: Grouped) -> list[Chart]:
    """The metric against each numeric axis, a line for each value of the first key of names, with a band of spread."""
    sweep = grouped.sweep
    if sweep.is_mixed:
        return []
    rows = [row for row in sweep.rows if row.overrides]
    found: list[Chart] = []
    for key in grouped.keys:
        values = {as_number(row.overrides.get(key, "")) for row in rows}
        if None not in values and len(values) > 1:
            found.append(_by_axis(grouped, key, rows))
    return found


def _by_axis(grouped: Grouped, key: str, rows: Sequence[Row]) -> Chart:
    sweep = grouped.sweep
    by = _series_key(grouped, key)
    names = [""] if by is None else [*dict.fromkeys(row.overrides.get(by, "") for row in rows)]
    known = [value for row in rows if (value := sweep.result(row)) is not None and row.state == "finished"]
    worst = (max(known) if sweep.lower_is_better else min(known)) if known else 0.0
    places = [float(row.overrides[key]) for row in rows]
    # Between the points of a search, which differ in all keys, there is no line.
    alone = len({*places}) == len(places) and len(grouped.keys) > 1
    series: list[Series] = []
    for colour, name in enumerate(names):
        chosen = [row for row in rows if by is None or row.overrides.get(by, "") == name]
        series += _line(sweep, key, name, chosen, colour, worst, alone=alone)
    log = min(places) > 0 and max(places) / min(places) >= WIDE
    title = f"{sweep.metric} against {key}"
    ends = (min(places), max(places))
    ticks = _apart(sorted({*places}), log=log)
    return Chart(title, key, sweep.metric, series, x_range=ends, log_x=log, x_ticks=ticks)


def _apart(places: Sequence[float], *, log: bool) -> Sequence[float]:
    """The values themselves, where their labels have room beside one another; else none."""
    along = [log10(place) for place in places] if log else places
    gaps = [right - left for left, right in pairwise(along)]
    labels = tick_labels(along, log=log)
    longest = 1 + max(map(len, labels))
    return places if min(gaps) * MAX_LETTERS >= longest * (along[-1] - along[0]) else ()


def _series_key(grouped: Grouped, key: str) -> str | None:
    """The key whose values have lines of their own: of names first, and few enough for colours."""
    rows = [row for row in grouped.sweep.rows if row.overrides]
    counts = {one: {row.overrides.get(one, "") for row in rows} for one in grouped.keys if one != key}
    few = [one for one, values in counts.items() if 1 < len(values) <= MAX_SERIES]
    named = [one for one in few if any(as_number(value) is None for value in counts[one])]
    return next(iter([*named, *few]), None)


def _line(
    sweep: Sweep, key: str, name: str, rows: Sequence[Row], colour: int, worst: float, *, alone: bool
) -> Iterator[Series]:
    values: dict[float, list[float]] = {}
    for row in rows:
        if row.state == "finished" and (value := sweep.result(row)) is not None:
            values.setdefault(float(row.overrides[key]), []).append(value)
    places = _thinned(sorted(values), MAX_POINTS)
    means: list[Point] = [(place, fmean(values[place])) for place in places]
    band = [
        (place, mean - stdev(values[place]), mean + stdev(values[place]))
        for place, mean in means
        if len(values[place]) > 1
    ]
    yield Series(name, means, "dots" if alone else "line", colour, band)
    lost = _thinned([row for row in rows if row.state == "diverged"], MAX_CROSSES)
    if lost:
        crosses = [(float(row.overrides[key]), worst) for row in lost]
        yield Series(f"{name} diverged".strip(), crosses, "crosses", colour, names=[_job(row) for row in lost])


@dataclass(frozen=True, slots=True)
class Multiple:
    """The learning curves of one group."""

    chart: Chart
    note: str = ""


def learning_curves(grouped: Grouped) -> list[Multiple]:
    """The metric by epoch, a picture for each group and a line for each of its jobs: the best groups, and the last."""
    chosen = grouped.groups
    if len(chosen) > MAX_CURVES:
        chosen = (*chosen[: MAX_CURVES * 2 // 3], *chosen[-(MAX_CURVES - MAX_CURVES * 2 // 3) :])
    found = [(one, [*_curves(one)]) for one in chosen]
    found = [(one, curves) for one, curves in found if curves]
    values = sorted(value for _, curves in found for _, curve in curves for _, value in curve)
    if not values:
        return []
    # A loss that explodes would flatten all others.
    ends = values[len(values) // 50], values[-1 - len(values) // 50]
    last = max(point[0] for _, curves in found for _, curve in curves for point in curve)
    return [_multiple(grouped.sweep, one, curves, ends, (1.0, max(last, 2.0))) for one, curves in found]


def _curves(group: Group) -> Iterator[tuple[Row, Curve]]:
    for row in group.rows[:MAX_SEEDS]:
        if row.path and (curve := read_curve(Path(row.path), group.metric)):
            yield row, curve


def _multiple(
    sweep: Sweep,
    group: Group,
    curves: Sequence[tuple[Row, Curve]],
    ends: tuple[float, float],
    epochs: tuple[float, float],
) -> Multiple:
    series = [Series("", curve, "dashed" if row.state != "finished" else "line", 0) for row, curve in curves]
    series += [
        Series("", [curve[-1]], "crosses", 1, names=[_job(row)]) for row, curve in curves if row.state == "diverged"
    ]
    title = values_text({key: sweep.text(key, value) for key, value in group.values.items()}) or "all jobs"
    chart = Chart(title, "epoch", group.metric, series, y_range=ends, x_range=epochs, size=SMALL)
    return Multiple(chart, group.lacks)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Means of the metric over two axes, as a table whose cells have the classes h0 to h9."""

    rows: str
    columns: str
    column_names: Sequence[str]
    lines: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    """A name, and cells of a class and a text."""


def heat_map(grouped: Grouped) -> HeatMap | None:
    """The means of groups over two axes; None where there are not two, or too many values."""
    if len(grouped.keys) != 2 or grouped.sweep.is_mixed:
        return None
    first, second = sorted(grouped.keys, key=lambda key: _is_numeric(grouped, key))
    names = [in_order([*dict.fromkeys(one.values[key] for one in grouped.groups)]) for key in (first, second)]
    if max(map(len, names)) > MAX_SIDE:
        return None
    known = {(one.values[first], one.values[second]): one for one in grouped.groups}
    means = sorted(one.mean for one in grouped.groups if one.mean is not None)
    lines = [
        (row or "as configured", [_cell(known.get((row, column)), means, grouped.sign) for column in names[1]])
        for row in names[0]
    ]
    return HeatMap(first, second, [name or "as configured" for name in names[1]], lines)


def _is_numeric(grouped: Grouped, key: str) -> bool:
    return all(as_number(one.values[key]) is not None for one in grouped.groups)


def _cell(group: Group | None, means: Sequence[float], sign: int) -> tuple[str, str]:
    if group is None:
        return "", ""
    if group.mean is None:
        return "lost", next(iter(group.counts))
    low, high = means[0], means[-1]
    share = 0.5 if high == low else (group.mean - low) / (high - low)
    mark = "" if group.is_whole else f" ({group.n} of {group.expected})"
    return f"h{min(9, int(10 * (share if sign < 0 else 1 - share)))}", f"{number(group.mean)}{mark}"


def parallel(grouped: Grouped) -> Parallel | None:
    """Groups as lines over all keys and the metric; None for fewer than three keys."""
    if len(grouped.keys) < 3 or grouped.sweep.is_mixed:
        return None
    places = {key: _places([one.values[key] for one in grouped.groups]) for key in grouped.keys}
    means = [one.mean for one in grouped.groups if one.mean is not None]
    low, high = (min(means), max(means)) if means else (0.0, 1.0)
    best = {id(one) for one in grouped.groups[: max(1, len(means) // 10)] if one.mean is not None}
    strands: list[Strand] = []
    for one in reversed([*_thinned(grouped.groups, MAX_STRANDS)]):
        end = None if one.mean is None else 0.5 if high == low else (one.mean - low) / (high - low)
        colour = 0 if id(one) in best else 1 if one.counts.get("diverged") else 5
        name = f"{values_text(one.values)}: {'no result' if one.mean is None else number(one.mean)}"
        strands.append(Strand([*(places[key][one.values[key]] for key in grouped.keys), end], colour, name))
    axes = [
        Axis(key, [(place, grouped.sweep.text(key, value) or "-") for value, place in places[key].items()])
        for key in grouped.keys
    ]
    axes.append(Axis(grouped.sweep.metric, [(0.0, number(low)), (1.0, number(high))]))
    legend = [(0, "the best tenth"), (1, "with a divergence"), (5, "others")]
    return Parallel("All groups over all swept values", axes, strands, legend)


def _places(values: Sequence[str]) -> Mapping[str, float]:
    """Each value of an axis at equal distances, in their order."""
    names = in_order([*dict.fromkeys(values)])
    return {name: index / max(1, len(names) - 1) for index, name in enumerate(names)}


def by_start(sweep: Sweep, starts: Mapping[str, RunStart], what: str) -> Chart | None:
    """The metric against a number of the start, `predicted_gradient` or `first_gradient`; diverged jobs as crosses."""
    found = [(row, getattr(starts.get(row.folder), what, None)) for row in sweep.rows]
    known = [(row, value) for row, value in found if value and isfinite(value)]
    results = [sweep.result(row) for row, _ in known if row.state == "finished"]
    values = [value for value in results if value is not None]
    if sweep.is_mixed or len({value for _, value in known}) < 2 or not values:
        return None
    worst = max(values) if sweep.lower_is_better else min(values)
    done: Sequence[tuple[Row, Point]] = [
        (row, (value, result))
        for row, value in known
        if row.state == "finished" and (result := sweep.result(row)) is not None
    ]
    lost: Sequence[tuple[Row, Point]] = [(row, (value, worst)) for row, value in known if row.state == "diverged"]
    done, lost = _thinned(done, MAX_DOTS), _thinned(lost, MAX_CROSSES)
    dots = Series("finished", [point for _, point in done], "dots", 0, names=[_job(row) for row, _ in done])
    crosses = Series("diverged", [point for _, point in lost], "crosses", 1, names=[_job(row) for row, _ in lost])
    series = [dots, *([crosses] if lost else [])]
    label = STARTS[what]
    return Chart(f"{sweep.metric} against the {label}", label, sweep.metric, series, log_x=True)


STARTS: Mapping[str, str] = {
    "predicted_gradient": "predicted gradient E g² at the input",
    "first_gradient": "measured gradient norm of the first layer",
}


def _job(row: Row) -> str:
    return f"{row.name}: {values_text(row.overrides)}"


def _thinned(items: Sequence[Item], most: int) -> Sequence[Item]:
    """At most so many of some items, at equal distances."""
    return items if len(items) <= most else items[:: -(-len(items) // most)]
