"""What a run writes of its start."""

from __future__ import annotations

import json
from math import inf, nan
from pathlib import Path

import pytest

from modelforge.results.starts import RunStart, read_start, write_start


@pytest.mark.parametrize("text", ["", "{", "[]", '{"predicted_signal": "x"}', '{"predicted_signal": {}}'])
def test_a_damaged_file_says_nothing(tmp_path: Path, text: str):
    (tmp_path / "start.json").write_text(text)
    assert read_start(tmp_path) is None


def test_infinity_is_kept_and_what_is_no_number_is_not(tmp_path: Path):
    write_start(RunStart(1.0, inf, nan), tmp_path)
    written = json.loads((tmp_path / "start.json").read_text(), parse_constant=pytest.fail)
    assert written["predicted_gradient"] == "Infinity"
    assert read_start(tmp_path) == RunStart(1.0, inf, None)
    assert read_start(tmp_path / "nowhere") is None


def test_it_has_a_version(tmp_path: Path):
    write_start(RunStart(predicted_gradient=0.25), tmp_path)
    assert json.loads((tmp_path / "start.json").read_text())["format_version"] == "1.0"
    assert read_start(tmp_path) == RunStart(predicted_gradient=0.25)
