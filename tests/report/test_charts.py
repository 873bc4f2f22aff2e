"""charts: what a chart draws, and where."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from modelforge.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Series, svg


def parsed(chart: Chart) -> ElementTree.Element:
    """The picture and its legend, as well-formed XML."""
    return ElementTree.fromstring(f"<div>{svg(chart)}</div>")


def places(element: ElementTree.Element) -> list[tuple[float, float]]:
    return [
        (float(dot.attrib["cx"]), float(dot.attrib["cy"]))
        for dot in element.iter("circle")
        if "dot" in dot.attrib["class"]
    ]


def test_points_fill_the_axes_and_a_logarithmic_one_is_even():
    dots = places(parsed(Chart("t", "x", "y", [Series("", [(0, 1.0), (1, 1e-4), (2, 1e-8)], "dots")], log=True)))
    (x0, y0), (x1, y1), (x2, y2) = dots
    assert (x0, x2) == (LEFT, WIDTH - RIGHT)
    assert x1 == pytest.approx((x0 + x2) / 2)
    assert TOP <= y0 < y1 < y2 <= HEIGHT - BOTTOM
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)  # places have one decimal


def test_what_has_no_place_is_left_out_and_lines_have_gaps():
    points = [(0.0, 1.0), (1.0, 2.0), None, (3.0, 0.0), (4.0, math.nan), (5.0, 3.0), (6.0, 4.0)]
    found = parsed(Chart("t", "x", "y", [Series("", points)], log=True))
    lines = [path.attrib["d"] for path in found.iter("path") if "line" in path.attrib["class"]]
    assert len(lines) == 2
    assert len(places(parsed(Chart("t", "x", "y", [Series("", points, "dots")], log=True)))) == 4


def test_names_are_inert():
    name = "<script>alert(1)</script>"
    chart = Chart(name, name, name, [Series(name, [(0, 1.0)], "dots", names=[name])])
    assert "<script" not in svg(chart)
    assert svg(chart).count("&lt;script&gt;") >= 5


def test_a_logarithmic_axis_of_one_decade_has_several_marks():
    found = parsed(Chart("t", "x", "y", [Series("", [(1, 2.2), (10, 0.29)])], log=True))
    assert {"0.5", "1", "2"} <= {text.text for text in found.iter("text")}


def test_a_chart_says_in_words_what_it_shows():
    found = parsed(Chart("signal", "depth", "E x²", [Series("predicted", [(0, 1.0), (9, 2e-3)])], log=True))
    picture = found.find("svg")
    title = picture.find("title")
    assert picture.attrib["role"] == "img"
    assert picture.attrib["aria-labelledby"] == title.attrib["id"]
    assert title.text == "signal: E x² by depth; predicted from 1 to 0.002"
    assert found.find("ul/li").text is None
    assert "predicted" in "".join(found.find("ul").itertext())


@pytest.mark.parametrize(
    "chart",
    [
        Chart("empty", "x", "y", []),
        Chart("empty", "x", "y", [Series("a", [])], log=True),
        Chart("one", "x", "y", [Series("a", [(1, 1.0)])], log=True),
        Chart("zeros", "x", "y", [Series("a", [(1, 0.0), (2, 0.0)])], log=True),
        Chart("huge", "x", "y", [Series("a", [(1, 1e-300), (2, 1e300)])], log=True),
        Chart("equal", "x", "y", [Series("a", [(1, 5.0), (2, 5.0)], band=[(1, 5.0, 5.0), (2, 4.0, 6.0)])]),
    ],
)
def test_any_values_make_a_picture(chart):
    found = parsed(chart)
    assert not re.search(r"nan|inf", ElementTree.tostring(found, encoding="unicode").replace("information", ""))


def test_the_unit_circle_is_round_and_holds_its_points():
    found = parsed(Chart("e", "re", "im", [Series("", [(1.0, 0.0), (0.0, -1.0), (2.0, 0.0)], "dots")], circle=True))
    circle = next(one for one in found.iter("circle") if one.attrib["class"] == "unit")
    x, y, radius = (float(circle.attrib[name]) for name in ("cx", "cy", "r"))
    (right, level), (_, below), (far, _) = places(found)
    assert (right - x, below - y, far - x) == pytest.approx((radius, radius, 2 * radius), abs=0.2)
    assert level == pytest.approx(y, abs=0.1)


def test_bars_start_at_zero():
    found = parsed(Chart("h", "x", "share", [Series("", [(0.5, 0.25), (1.5, 0.75)], "bars")], x_range=(0, 2)))
    bars = [one for one in found.iter("rect") if "bar" in one.attrib["class"]]
    ends = [float(one.attrib["y"]) + float(one.attrib["height"]) for one in bars]
    assert ends == pytest.approx([HEIGHT - BOTTOM] * 2, abs=0.2)
    assert float(bars[1].attrib["height"]) == pytest.approx(3 * float(bars[0].attrib["height"]), abs=0.3)


def test_a_logarithmic_x_has_powers_of_ten_and_leaves_out_what_is_not_positive():
    points = [(0.0, 1.0), (0.01, 2.0), (1.0, 3.0), (100.0, 4.0)]
    text = str(svg(Chart("t", "gain", "loss", [Series("", points, "crosses")], log_x=True)))
    places = [float(x) for x in re.findall(r'class="cross c0" d="M([\d.]+) ', text)]
    assert len(places) == 3
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.11)
    assert re.findall(r'text-anchor="middle">([^<]+)</text>', text)[:3] == ["10⁻²", "0.1", "1"]


@pytest.mark.parametrize(
    "values", [(1e17, 1e17), (1e17, 1.2e17), (1e-13, 5e-13), (0.0, 1e-13), (0.0, 0.0), (-3e40, -3e40), (1e-300, 1e-300)]
)
def test_axes_fit_values_of_any_size(values: tuple[float, float]):
    found = parsed(Chart("t", "x", "y", [Series("", [(0.0, values[0]), (1.0, values[1])], "dots")]))
    (_, first), (_, second) = places(found)
    assert (first > second) == (values[0] < values[1])
    assert all(TOP <= y <= HEIGHT - BOTTOM for y in (first, second))
    labels = [text.text for text in found.iter("text") if text.attrib.get("text-anchor") == "end"]
    assert len(labels) > 1
    assert len({*labels}) == len(labels)
