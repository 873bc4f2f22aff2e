"""charts: the starts of networks → their pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from modelforge.core.words import number
from modelforge.diagnosis.document import Energy, Histogram, Jacobian, Level, Spectrum, Start, Steps
from modelforge.report.charts import Chart, Point, Series

BAND = 2.0
"""Standard deviations from the middle of a predicted band to its edges."""
FAR = 100.0
"""The width of a band, as a factor, from which on it may reach beyond the axis."""
SMALL, SQUARE = (270, 180), (270, 258)
"""Sizes of pictures that stand several in a row."""
DEPTH = "layer, in execution order"
LABELS = {True: "signal E x²", False: "gradient E g²"}


def by_depth(start: Start, *, signal: bool) -> Chart:
    """Energies by depth: the predicted line in its band, and measured points."""
    pairs = [_pair(level, signal=signal) for level in start.levels]
    series = [Series("predicted", _points([_typical(one) for one, _ in pairs]), band=_band([one for one, _ in pairs]))]
    if any(measured for _, measured in pairs):
        values = [None if one is None else one.energy for _, one in pairs]
        names = [f"{level.path}: {number(value)}" for level, value in zip(start.levels, values, strict=True) if value]
        series.append(Series("measured", [point for point in _points(values) if point], "dots", 1, names=names))
    title = LABELS[signal]
    return Chart(title, DEPTH, LABELS[signal], series, log=True, y_range=y_range([start], signal=signal))


def repaired(start: Start, *, signal: bool) -> Chart | None:
    """The predicted energies with the repair, on the scale of those without it."""
    if start.repair is None:
        return None
    after = start.repair.typical_signal if signal else start.repair.typical_gradient
    before = [_typical(_pair(level, signal=signal)[0]) for level in start.levels]
    series = [Series("repaired", _points(after), colour=2), Series("as it is", _points(before), "dashed", 5)]
    title = f"{LABELS[signal]}, repaired"
    return Chart(title, DEPTH, LABELS[signal], series, log=True, y_range=y_range([start], signal=signal))


def compared(starts: Sequence[Start], *, signal: bool) -> Chart:
    """The energies of several networks, each over its whole depth: predicted lines, points where only measured."""
    series: list[Series] = []
    for colour, start in enumerate(starts):
        pairs = [_pair(level, signal=signal) for level in start.levels]
        share = 100 / max(len(pairs) - 1, 1)
        predicted = [_typical(one) for one, _ in pairs]
        known = any(predicted)
        values = predicted if known else [None if one is None else one.energy for _, one in pairs]
        points = [point and (point[0] * share, point[1]) for point in _points(values)]
        label = start.label if known else f"{start.label} (measured)"
        series.append(Series(label, points, "line" if known else "dashed", colour))
    title = f"{LABELS[signal]} side by side"
    return Chart(title, "depth in %", LABELS[signal], series, log=True, y_range=y_range(starts, signal=signal))


def histogram(counts: Histogram) -> Chart:
    """How values are distributed."""
    width = (counts.high - counts.low) / max(len(counts.shares), 1)
    points = [(counts.low + (index + 0.5) * width, share) for index, share in enumerate(counts.shares)]
    colour = 0 if counts.kind == "weights" else 1
    title = f"{counts.kind} of {counts.path}"
    ends = (counts.low, counts.high)
    return Chart(title, "value", "share", [Series("", points, "bars", colour)], x_range=ends, size=SMALL)


def singular_values(jacobian: Jacobian) -> Chart:
    """Singular values, largest first."""
    points = [(float(index), value) for index, value in enumerate(jacobian.values, 1)]
    title = "singular values of the Jacobian"
    return Chart(title, "index", "singular value", [Series("", points, "dots")], log=True)


def eigenvalues(spectrum: Spectrum) -> Chart:
    """Eigenvalues in the complex plane, with the unit circle."""
    points = list(spectrum.eigenvalues)
    return Chart(
        f"eigenvalues of {spectrum.path}", "real part", "imaginary part", [Series("", points, "dots")], circle=True
    )


def over_time(steps: Steps) -> Chart:
    """Energies of signals and gradients at each step."""
    series = [
        Series(
            label,
            [None if value is None else (float(time), value) for time, value in zip(steps.times, values, strict=True)],
            colour=colour,
        )
        for colour, (label, values) in enumerate(((LABELS[True], steps.signal), (LABELS[False], steps.gradient)))
    ]
    return Chart(f"energies of {steps.path} over time", "step", "energy", series, log=True)


def y_range(starts: Sequence[Start], *, signal: bool) -> tuple[float, float] | None:
    """The least and the greatest energy, two decades apart or more; repaired ones and near edges of bands count."""
    values: list[float | None] = []
    for start in starts:
        for level in start.levels:
            predicted, measured = _pair(level, signal=signal)
            values += [_typical(predicted), measured and measured.energy]
            values += [edge for _, low, high in _band([predicted]) if high / low < FAR for edge in (low, high)]
        if start.repair is not None:
            values += start.repair.typical_signal if signal else start.repair.typical_gradient
    logs = [math.log10(value) for value in values if value]
    if not logs:
        return None
    room = max(0.0, 2 - (max(logs) - min(logs))) / 2
    return 10 ** (min(logs) - room), 10 ** (max(logs) + room)


def _pair(level: Level, *, signal: bool) -> tuple[Energy | None, Energy | None]:
    """As predicted, and as measured."""
    if signal:
        return level.signal, level.measured_signal
    return level.gradient, level.measured_gradient


def _typical(energy: Energy | None) -> float | None:
    return None if energy is None else energy.typical


def _points(values: Sequence[float | None]) -> list[Point | None]:
    return [None if value is None else (float(index), value) for index, value in enumerate(values)]


def _band(energies: Sequence[Energy | None]) -> list[tuple[float, float, float]]:
    found: list[tuple[float, float, float]] = []
    for index, energy in enumerate(energies):
        if energy is not None and energy.spread is not None and energy.typical:
            factor = math.exp(min(BAND * energy.spread, 300.0))
            found.append((float(index), energy.typical / factor, energy.typical * factor))
    return found
