"""A sweep as JSON: its schema holds, and its numbers are those of the table."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import jsonschema
import pytest

from modelforge.results import collect
from modelforge.results.charts import by_start
from modelforge.results.document import document, sweep_schema
from modelforge.results.foresight import starts_of
from modelforge.results.grouping import group
from modelforge.results.significance import contrasts
from modelforge.results.starts import RunStart, write_start
from tests.results.sweeps import gains


def test_the_document(tmp_path: Path):
    grouped = group(collect(gains(tmp_path)))
    data = json.loads(document(grouped, contrasts(grouped, ["init=orthogonal"])).model_dump_json())
    jsonschema.validate(data, sweep_schema())
    assert data["format_version"] == "1.2"
    assert data["counts"] == {"finished": 13, "diverged": 5}
    first = data["groups"][0]
    assert (first["values"], first["baseline"]) == (
        {"init": "xavier", "init.gain": "1"}, {"init": "orthogonal", "init.gain": "1"},
    )  # fmt: skip
    assert first["mean"] == pytest.approx(0.912)
    assert len(first["folders"]) == 3
    assert data["rows"][0]["predicted_gradient"] == 0.5
    assert data["foresight"] == [
        {"explodes": True, "finished": 1, "diverged": 5, "median": 0.4},
        {"explodes": False, "finished": 12, "diverged": 0, "median": pytest.approx(0.811)},
    ]
    gain = [one for one in data["effects"] if one["key"] == "init.gain"]
    assert [(one["value"], one["n"], one["counts"].get("diverged", 0)) for one in gain] == [
        ("0.5", 6, 0), ("1", 6, 0), ("4", 1, 5),
    ]  # fmt: skip


def test_an_infinite_prediction_is_a_text_and_no_point_of_a_chart(tmp_path: Path):
    sweep = collect(gains(tmp_path))
    write_start(RunStart(predicted_gradient=inf), Path(sweep.rows[0].path))
    grouped = group(sweep)
    data = json.loads(document(grouped, contrasts(grouped)).model_dump_json(), parse_constant=pytest.fail)
    jsonschema.validate(data, sweep_schema())
    assert data["rows"][0]["predicted_gradient"] == "Infinity"
    assert data["foresight"][0]["finished"] == 2
    chart = by_start(sweep, starts_of(sweep.rows), "predicted_gradient")
    assert chart is not None
    assert sum(len(series.points) for series in chart.series) == 17


def test_a_half_dead_sweep_is_a_document(sweep: Path):
    grouped = group(collect(sweep))
    data = json.loads(document(grouped, contrasts(grouped)).model_dump_json())
    jsonschema.validate(data, sweep_schema())
    assert len(data["rows"]) == 10
