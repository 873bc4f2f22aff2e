"""Predictions of the start against what became of runs."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from modelforge.core.frozen import FrozenDict
from modelforge.results import collect
from modelforge.results.foresight import foresight, starts_of
from modelforge.results.starts import RunStart, read_start, write_start
from modelforge.results.sweep import Sweep
from tests.results.sweeps import gains


def test_how_often_a_divergence_was_foreseen(tmp_path: Path):
    sweep = collect(gains(tmp_path))
    found = foresight(sweep, starts_of(sweep.rows))
    assert (found.diverged, found.finished) == ((5, 5), (1, 13))
    assert found.sentence == (
        "An exploding gradient was predicted of 5 of the 5 jobs that diverged, and of 1 of the 13 that finished. "
        "Those that finished have a median of 0.4, the others of 0.811."
    )


def test_runs_without_a_prediction_are_counted(tmp_path: Path):
    sweep = collect(gains(tmp_path))
    for path in tmp_path.glob("*/start.json"):
        if path.parent.name.startswith("0,"):
            path.unlink()
        elif path.parent.name.startswith("1,"):
            path.write_text("{")
    found = foresight(sweep, starts_of(sweep.rows))
    assert found.unknown == 2
    assert sum(row.finished + row.diverged for row in found.rows) == 16
    nothing = foresight(Sweep("", (), (), ""), FrozenDict())
    assert nothing.sentence == "No run recorded a prediction of its start."


@pytest.mark.parametrize(
    ("gradient", "explodes"), [(inf, True), (1e7, True), (1e5, False), (1e-7, False), (0.0, False), (None, None)]
)
def test_what_explodes(tmp_path: Path, gradient: float | None, explodes: bool | None):
    start = RunStart(predicted_gradient=gradient)
    assert start.explodes is explodes
    write_start(start, tmp_path)
    assert read_start(tmp_path) == start
