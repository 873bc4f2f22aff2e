"""Tables hold what they show."""

from __future__ import annotations

import pytest
import torch
from rich.console import Console
from torch import nn

import modelforge as mf
from modelforge.building.table import ledger_table
from modelforge.core.words import number
from modelforge.report.table import to_text

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
    text = to_text(decided.table({}), width)
    assert text.count("(16,)") == 2
    assert text.count("(4, 4)") == 2
    assert ["total", "496"] in [line.split()[:2] for line in text.splitlines()]
    assert (f"left out at {width}" in text) == (width <= 100)
    if width >= 60:
        assert max(map(len, text.splitlines())) <= width


def test_the_column_sums_to_the_total(decided):
    lines = to_text(decided.table(), 200).splitlines()
    sizes = [
        int(word.replace(",", "")) for line in lines[2:] for word in line.split() if word.replace(",", "").isdigit()
    ]
    assert sum(sizes[:-1]) == sizes[-1] == decided.num_parameters


def test_parameters_are_named_as_seen_from_their_layer(decided):
    assert "in_proj_weight, out_proj.weight: orthogonal" in to_text(decided.table(), 200)


def test_colours_are_for_terminals_only(decided):
    coloured = Console(force_terminal=True, color_system="standard", width=100)
    with coloured.capture() as capture:
        coloured.print(decided.table())
    assert "\x1b[" in capture.get()
    assert "\x1b[" not in to_text(decided.table())


def test_the_ledger_of_a_built_model(decided):
    text = mf.build(decided).ledger.table()
    assert text.splitlines()[1].split()[:4] == ["parameter", "shape", "scheme", "rule"]
    assert text.count("pass") == len(decided.parameters)


class Tied(nn.Module):
    """Embeds tokens, and reads them off with the same weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.body = nn.Embedding(50, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.body(self.embed(x)))


@pytest.fixture(scope="module")
def calibrated() -> mf.Ledger:
    model = Tied()
    ledger = mf.initialize(model, {"scheme": "orthogonal", "embedding": {"scheme": "normal", "std": 0.25}})
    return mf.calibrate(model, torch.arange(50).view(10, 5), ledger=ledger)


def test_a_calibration_has_a_table_of_its_own(calibrated):
    done = calibrated["body.weight"].calibration
    *_, header, _, left, line = calibrated.table().splitlines()
    assert header.split() == ["lsuv", "factor", "passes", "variance", "left", "as", "it", "was"]
    assert left.startswith("embed.weight ")
    assert left.endswith("several modules share it: embed.weight, head.weight")
    before, after = number(done.variance_before), number(done.variance_after)
    assert line.split() == ["body.weight", f"×{number(done.factor)}", "1", before, "→", after]


def test_a_calibrated_bias_is_shown_with_its_channels():
    model = nn.Sequential(nn.Linear(8, 4))
    ledger = mf.initialize(model, "orthogonal")
    batch = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    ledger = mf.calibrate(model, batch, "per_channel", ledger=ledger)
    low, high = ledger["0.weight"].calibration.factors
    assert ledger.table().count(f"×{number(low)} … {number(high)}") == 2
    assert "left as it was" not in ledger.table()


def test_a_tied_parameter_shows_all_its_names(calibrated):
    assert "embed.weight = head.weight" in calibrated.table()


@pytest.mark.parametrize("width", range(30, 150, 10))
def test_a_ledger_shows_its_numbers_whole_at_any_width(calibrated, width):
    text = to_text(ledger_table(calibrated.entries, calibrated.warnings), width)
    for entry in calibrated:
        assert number(entry.measured_mean) in text
        assert number(entry.measured_std) in text
    assert f"×{number(calibrated['body.weight'].calibration.factor)}" in text
    if width >= 60:
        assert max(map(len, text.splitlines())) <= width
