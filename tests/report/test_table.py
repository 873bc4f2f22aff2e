"""Tables hold what they show."""

from __future__ import annotations

import pytest
from rich.console import Console

import modelforge as mf
from modelforge.report.table import plan_table, to_text

MLP = {
    "hidden": {"type": "Linear", "out_features": 16},
    "a_very_long_name_that_does_not_fit": {"type": "Linear", "out_features": 16},
    "attend": {"type": "Unflatten", "dim": 1, "unflattened_size": [4, 4]},
    "attention": {"type": "MultiheadAttention", "num_heads": 2},
}


@pytest.fixture(scope="module")
def decided() -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [8]}, "layers": MLP}, init="orthogonal"))


@pytest.mark.parametrize("width", range(30, 130, 10))
def test_shapes_and_numbers_are_whole_at_any_width(decided, width):
    text = to_text(plan_table(decided, {}), width)
    assert text.count("(16,)") == 2
    assert text.count("(4, 4)") == 2
    assert text.splitlines()[-1].split()[:2] == ["total", "496"]
    if width >= 60:
        assert max(map(len, text.splitlines())) <= width


def test_the_column_sums_to_the_total(decided):
    lines = to_text(plan_table(decided), 200).splitlines()
    sizes = [
        int(word.replace(",", "")) for line in lines[2:] for word in line.split() if word.replace(",", "").isdigit()
    ]
    assert sum(sizes[:-1]) == sizes[-1] == decided.num_parameters


def test_parameters_are_named_as_seen_from_their_layer(decided):
    assert "in_proj_weight, out_proj.weight: orthogonal" in to_text(plan_table(decided), 200)


def test_colours_are_for_terminals_only(decided):
    coloured = Console(force_terminal=True, color_system="standard", width=100)
    with coloured.capture() as capture:
        coloured.print(plan_table(decided))
    assert "\x1b[" in capture.get()
    assert "\x1b[" not in to_text(plan_table(decided))


def test_the_ledger_of_a_built_model(decided):
    text = mf.build(decided).ledger.table()
    assert text.splitlines()[0].split()[:4] == ["parameter", "shape", "scheme", "rule"]
    assert text.count("pass") == len(decided.parameters)
