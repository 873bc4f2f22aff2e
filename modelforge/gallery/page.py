"""The page of the gallery as HTML: one self-contained file with a section for each claim."""

from __future__ import annotations

import math
from pathlib import Path

from modelforge._version import __version__
from modelforge.gallery.result import Picture, Result
from modelforge.report.charts import Chart, Series
from modelforge.report.page import render

TEMPLATE = Path(__file__).parent / "page.html"


def html(results: tuple[Result, ...]) -> str:
    """The page.

    Args:
        results: Of the claims, in the order of the page.
    """
    sections = [
        {"id": result.name, "result": result, "charts": tuple(map(chart, result.pictures))} for result in results
    ]
    return render(TEMPLATE, sections=sections, version=__version__)


def chart(picture: Picture) -> Chart:
    """A picture with a line for each seed, in the colour of its variant."""
    profile = picture.profile
    series = [
        Series("" if index else name, _points(curve.x, curve.y), colour=colour)
        for colour, (name, seeded) in enumerate(picture.curves.items())
        for index, curve in enumerate(seeded)
    ]
    return Chart(profile.title, profile.x_label, profile.y_label, series, log=profile.log)


def _points(x: tuple[float, ...], y: tuple[float, ...]) -> list[tuple[float, float] | None]:
    return [point if math.isfinite(point[1]) else None for point in zip(x, y, strict=True)]
