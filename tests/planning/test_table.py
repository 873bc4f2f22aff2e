"""A plan as a table: one line a layer, one line for equal copies, and totals that are those of the plan."""

from __future__ import annotations

from typing import Any

from rich.console import Console

import modelforge as mf
from modelforge.planning.table import TreeTable
from modelforge.report.table import to_text

LINEAR = {"type": "Linear", "out_features": 8}


def planned(layers: dict[str, Any], **more: Any) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers, **more}, init="xavier"))


def lines(plan: mf.Plan, flops: dict[str, int] | None = None, width: int = 200) -> list[list[str]]:
    """The cells of each line; they are at least two blanks apart."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(TreeTable(plan.root, plan.inputs, plan.parameters, plan.ties, flops))
    shown = [line for line in capture.get().splitlines() if line.strip(" ─━-")]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in shown]


def cells(plan: mf.Plan, name: str) -> list[str]:
    return next(line for line in lines(plan) if line[0] == name)


def test_a_line_has_type_output_size_and_start():
    """Xavier: std = sqrt(2 / (fan_in + fan_out)) = sqrt(2 / 16); the zero bias is the default, and left out."""
    assert cells(planned({"fc": LINEAR}), "fc") == ["fc", "Linear", "(8,)", "72", "xavier", "0.3536"]


def test_inputs_come_first_and_the_total_last():
    found = lines(planned({"fc": LINEAR, "act": "ReLU", "out": LINEAR}))
    assert [line[0] for line in found] == ["layer", "input", "fc", "act", "out", "total"]
    assert found[-1][1] == "144"


def test_equal_copies_take_one_line_with_the_size_of_all():
    plan = planned({"body": {"type": "Repeat", "times": 3, "layers": {"fc": LINEAR}}})
    found = lines(plan)
    assert [line[0] for line in found] == ["layer", "input", "body", "0 … 2", "fc", "total"]
    assert cells(plan, "0 … 2")[-1] == "216"


def test_copies_that_start_differently_have_lines_of_their_own():
    init = {"params": {"1.fc.weight": "zeros"}}
    plan = planned({"body": {"type": "Repeat", "times": 3, "layers": {"fc": LINEAR}, "init": init}})
    assert [line[0] for line in lines(plan) if line[0].isdigit()] == ["0", "1", "2"]


def test_parameters_that_start_in_several_ways_are_named():
    found = lines(planned({"fc": {**LINEAR, "init": {"bias": {"scheme": "constant", "value": 0.5}}}}))
    (first,) = [line for line in found if line[0] == "fc"]
    assert first[-2:] == ["weight: xavier", "0.3536"]
    assert found[found.index(first) + 1][0] == "bias: constant 0.5"


def test_a_tied_parameter_shows_where_its_values_are():
    layers = {"embed": {"type": "Linear", "out_features": 8, "bias": False}, "head": {**LINEAR, "bias": False}}
    assert "tied to embed.weight" in cells(planned(layers, tie={"head.weight": "embed.weight"}), "head")


def test_ties_are_looked_through_once():
    class Counted(dict[str, str]):
        looks = 0

        def items(self):
            self.looks += 1
            return super().items()

    layers = {name: {"type": "GRU", "hidden_size": 8} for name in "abc"}
    config = {
        "input": {"shape": [3, 8]},
        "layers": layers,
        "tie": {f"{name}.weight_hh_l0": "a.weight_hh_l0" for name in "bc"},
    }
    plan = mf.plan(mf.parse(config, init="xavier"))
    ties = Counted(plan.ties)
    table = to_text(TreeTable(plan.root, plan.inputs, plan.parameters, ties))
    assert ties.looks == 1
    assert table.count("weight_hh_l0: tied to a.weight_hh_l0") == 2


def test_costs_add_up_to_their_total():
    plan = planned({"one": LINEAR, "two": LINEAR})
    header, *_, total = lines(plan, {"one": 128, "two": 128})
    assert header[-1] == "FLOPs"
    assert total[-1] == "256"
