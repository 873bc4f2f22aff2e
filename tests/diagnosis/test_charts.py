"""charts: what the pictures of a diagnosis show."""

from __future__ import annotations

from math import exp

import pytest

from modelforge.diagnosis import charts
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Repair
from tests.diagnosis.nets import deep, recurrent


def test_a_predicted_line_in_its_band_and_measured_points():
    start = diagnose(deep("kaiming", depth=3), jacobian=False).first
    chart = charts.by_depth(start, signal=True)
    predicted, measured = chart.series
    assert [series.kind for series in chart.series] == ["line", "dots"]
    assert len(predicted.points) == len(measured.points) == 7
    x, low, high = predicted.band[-1]
    energy = start.levels[-1].signal
    assert energy is not None
    assert energy.spread is not None
    assert x == 6
    assert high / low == pytest.approx(exp(4 * energy.spread))
    assert energy.typical is not None
    assert low < energy.typical < high
    assert measured.names[0].startswith("input: ")


def test_the_repair_stands_beside_it_on_the_same_scale():
    start = diagnose(deep("xavier", depth=3), measure=False).first
    assert charts.repaired(start, signal=True) is None
    repair = Repair(
        overrides=("init.gain=1.41",),
        signal=(1.0,) * 7,
        gradient=(1.0,) * 7,
        typical_signal=(0.5,) * 7,
        typical_gradient=(0.5,) * 7,
    )
    start = start.model_copy(update={"repair": repair})
    after = charts.repaired(start, signal=True)
    assert after is not None
    assert after.y_range == charts.by_depth(start, signal=True).y_range
    assert [series.label for series in after.series] == ["repaired", "as it is"]
    assert [point and point[1] for point in after.series[0].points] == [0.5] * 7  # typical, as what it stands beside


def test_networks_of_different_depth_share_an_axis():
    starts = [diagnose(deep("xavier", depth=depth), measure=False).first for depth in (2, 4)]
    lines = charts.compared(starts, signal=False).series
    ends = [line.points[-1] for line in lines]
    assert [end and end[0] for end in ends] == [100.0, 100.0]
    assert [line.colour for line in lines] == [0, 1]


def test_measurements_of_a_recurrent_network():
    found = diagnose(recurrent()).first.measurement
    assert found is not None
    assert found.jacobian is not None
    assert charts.eigenvalues(found.spectra[0]).circle
    assert charts.singular_values(found.jacobian).series[0].points[0] == (1.0, found.jacobian.values[0])
    bars = charts.histogram(found.histograms[0])
    assert sum(point[1] for point in bars.series[0].points if point) == pytest.approx(1, abs=0.01)
    signal, gradient = charts.over_time(found.steps[0]).series
    assert len(signal.points) == len(gradient.points) == 12


def test_the_scale_is_two_decades_or_more():
    ends = charts.y_range([diagnose(deep("kaiming", depth=3), measure=False).first], signal=True)
    assert ends is not None
    low, high = ends
    assert high / low == pytest.approx(100)
