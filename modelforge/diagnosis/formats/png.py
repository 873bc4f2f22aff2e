"""png: a diagnosis as one picture, for a README."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from modelforge.diagnosis.charts import by_depth, compared
from modelforge.diagnosis.result import Diagnosis
from modelforge.report.charts import Chart, Series
from modelforge.report.figures import Figure, draw_side_by_side

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f5fa8", "#b4530a", "#23743c", "#7a3ea8", "#a3205f", "#5b6470")


@dataclass(frozen=True)
class Curves(Figure):
    """Lines, bands and points on a logarithmic axis."""

    series: Sequence[Series]

    @classmethod
    def of(cls, chart: Chart) -> Curves:
        """The same chart."""
        return cls(chart.title, chart.x_label, chart.y_label, chart.series)

    def draw(self, axes: Axes) -> None:
        axes.set_yscale("log")
        for series in self.series:
            points = [point for point in series.points if point is not None]
            colour = COLOURS[series.colour % len(COLOURS)]
            style = {"line": "-", "dashed": "--"}.get(series.kind, "none")
            marker = "." if series.kind == "dots" else "none"
            xs, ys = [x for x, _ in points], [y for _, y in points]
            axes.plot(xs, ys, linestyle=style, marker=marker, color=colour, label=series.label)
            if series.band:
                edges = zip(*series.band, strict=True)
                x, low, high = map(list, edges)
                axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.grid(axis="y", linewidth=0.5, alpha=0.5)
        axes.legend(frameon=False, fontsize=9)


def png(diagnosis: Diagnosis) -> bytes:
    """Signals and gradients by depth, as predicted and as measured.

    Raises:
        ForgeError: matplotlib is not installed.
    """
    charts = [
        compared(diagnosis.starts, signal=signal)
        if len(diagnosis.starts) > 1
        else by_depth(diagnosis.first, signal=signal)
        for signal in (True, False)
    ]
    out = BytesIO()
    draw_side_by_side([Curves.of(chart) for chart in charts], out)
    return out.getvalue()
