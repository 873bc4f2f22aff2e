"""Pictures of a sweep: what is drawn, and that their size is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.report.charts import svg
from modelforge.results import charts, collect
from modelforge.results.foresight import starts_of
from modelforge.results.grouping import group
from tests.results.sweeps import gains, swept
from tests.runs.jobs import job


def test_the_metric_against_the_gain_has_a_line_for_each_init(tmp_path: Path):
    (chart,) = charts.by_axes(group(collect(gains(tmp_path))))
    lines = {one.label: one for one in chart.series}
    assert set(lines) == {"orthogonal", "orthogonal diverged", "xavier", "xavier diverged"}
    assert [point and point[0] for point in lines["orthogonal"].points] == [0.5, 1.0, 4.0]
    assert lines["orthogonal"].points[1] == (1.0, pytest.approx(0.91))
    assert lines["orthogonal"].band[0] == (0.5, pytest.approx(0.70), pytest.approx(0.72))
    assert len(lines["xavier diverged"].points) == 3
    assert {point and point[1] for point in lines["xavier diverged"].points} == {0.4}, (
        "the worst value of a finished job"
    )
    assert chart.log_x, "from 0.5 to 4"
    assert chart.x_ticks == [0.5, 1.0, 4.0]


def test_learning_curves_are_small_multiples_on_one_scale(tmp_path: Path):
    found = charts.learning_curves(group(collect(gains(tmp_path))))
    assert [one.chart.title for one in found][:2] == ["init=xavier init.gain=1", "init=orthogonal init.gain=1"]
    assert len({one.chart.y_range for one in found}) == 1
    assert found[-1].note == "3 diverged"
    assert [series.kind for series in found[-1].chart.series] == ["dashed"] * 3 + ["crosses"] * 3


def test_a_heat_map_of_two_axes(tmp_path: Path):
    found = charts.heat_map(group(collect(gains(tmp_path))))
    assert found is not None
    assert (found.rows, found.columns, found.column_names) == ("init", "init.gain", ["0.5", "1", "4"])
    lines = dict(found.lines)
    assert lines["xavier"] == [("h6", "0.712"), ("h9", "0.912"), ("lost", "diverged")]
    assert lines["orthogonal"][2] == ("h0", "0.4 (1 of 3)")
    assert charts.parallel(group(collect(tmp_path))) is None


def test_parallel_coordinates_of_three_axes(tmp_path: Path):
    for index in range(12):
        values = [f"a={index % 2}", f"b={index % 3}", f"c={index}"]
        job(tmp_path / str(index), overrides=values, metrics={"val/accuracy": index / 12})
    grouped = group(collect(tmp_path))
    assert charts.heat_map(grouped) is None
    found = charts.parallel(grouped)
    assert found is not None
    assert [axis.name for axis in found.axes] == ["a", "b", "c", "val/accuracy"]
    assert found.strands[-1].places == [1.0, 1.0, 1.0, 1.0], "the best is on top"
    assert found.strands[-1].colour == 0


def test_the_metric_against_the_start(tmp_path: Path):
    sweep = collect(gains(tmp_path))
    chart = charts.by_start(sweep, starts_of(sweep.rows), "predicted_gradient")
    assert chart is not None
    assert [(one.label, len(one.points)) for one in chart.series] == [("finished", 13), ("diverged", 5)]
    assert charts.by_start(sweep, {}, "first_gradient") is None


def test_many_jobs_are_thinned(tmp_path: Path):
    results = {("a", str(gain), 0): gain / 500 for gain in range(1, 500)}
    grouped = group(collect(swept(tmp_path, results)))
    (chart,) = charts.by_axes(grouped)
    assert len(chart.series[0].points) <= charts.MAX_POINTS
    assert len(charts.learning_curves(grouped)) == charts.MAX_CURVES


def test_the_points_of_a_search_are_dots_with_few_digits(tmp_path: Path):
    for index in range(5):
        gain, rate = 0.5 + index / 7, 10.0 ** (-index - 0.3)
        values = [f"init.gain={gain!r}", f"optimizer.lr={rate!r}", f"model={'gru' if index % 2 else 'lstm'}"]
        job(tmp_path / str(index), overrides=values, metrics={"val/accuracy": index / 12})
    grouped = group(collect(tmp_path))
    assert [{one.kind for one in chart.series} for chart in charts.by_axes(grouped)] == [{"dots"}, {"dots"}]
    found = charts.parallel(grouped)
    assert found is not None
    assert [label for _, label in found.axes[0].marks] == ["0.5", "0.64286", "0.78571", "0.92857", "1.0714"]


def test_labels_of_an_axis_have_room(tmp_path: Path):
    for index, gain in enumerate(("0.00144", "0.00228", "0.00714", "0.0399")):
        job(tmp_path / str(index), overrides=[f"init.gain={gain}"], metrics={"val/accuracy": index / 12})
    (chart,) = charts.by_axes(group(collect(tmp_path)))
    assert chart.x_ticks == (), "they would run into one another"
    assert {one.kind for one in chart.series} == {"line"}


def test_labels_of_an_axis_differ(tmp_path: Path):
    for index, gain in enumerate(("0.12341", "0.12342")):
        job(tmp_path / str(index), overrides=[f"init.gain={gain}"], metrics={"val/accuracy": index / 12})
    (chart,) = charts.by_axes(group(collect(tmp_path)))
    assert [f">{gain}</text>" in svg(chart) for gain in ("0.12341", "0.12342")] == [True, True]
