"""What two models take."""

from __future__ import annotations

import torch

import modelforge as mf
from modelforge.review.costs import Cost, costs
from modelforge.review.pairing import paired
from modelforge.signal.memory import memory

LSTM = {"type": "LSTM", "hidden_size": 4}


def plan(width: int, name: str = "head") -> mf.Plan:
    layers = {"flat": "Flatten", name: {"type": "Linear", "out_features": width}, "act": "ReLU"}
    return mf.plan(mf.parse({"input": {"shape": [2, 4]}, "layers": layers}, init="xavier"))


def test_the_totals_are_those_of_the_layers():
    old, new = plan(4), plan(6)
    found = costs(old, new, paired(old, new))
    assert found.old == Cost(8 * 4 + 4, 2 * 8 * 4, 4 * (8 + 4))
    assert found.new == Cost(8 * 6 + 6, 2 * 8 * 6, 4 * (8 + 6))
    assert {row.path: row.new.activations - row.old.activations for row in found.layers} == {"head": 0, "act": 8}
    assert sum(row.new.parameters - row.old.parameters for row in found.layers) == 18


def test_a_renamed_layer_costs_what_it_did():
    old, new = plan(4), plan(4, "out")
    assert costs(old, new, paired(old, new)).layers == ()


def test_what_a_layer_keeps_inside_counts():
    spec = mf.parse({"input": {"shape": [3, 2]}, "layers": {"rnn": LSTM}}, init="xavier")
    found = mf.plan(spec)
    both = costs(found, found, paired(found, found))
    output, (state, cell) = torch.nn.LSTM(2, 4, batch_first=True)(torch.zeros(1, 3, 2))
    (kept,) = memory(found, 1, lambda parameter: 0).values()
    assert both.new.activations == kept.activations
    assert both.new.activations > 4 * (output.numel() + state.numel() + cell.numel())
    assert both.layers == ()


def test_a_norm_that_cannot_be_trained_on_one_example():
    layers = {"pool": {"type": "AdaptiveAvgPool2d", "output_size": 1}, "norm": "BatchNorm2d"}
    found = mf.plan(mf.parse({"input": {"shape": [3, 4, 4]}, "layers": layers}, init="xavier"))
    assert costs(found, found, paired(found, found)).new.activations not in (None, 0)


def counted(width: int, **norm: object) -> mf.Plan:
    """A batch norm without momentum counts its batches, which no run without values can."""
    layers = {"hidden": {"type": "Linear", "out_features": width}, "norm": {"type": "BatchNorm1d", **norm}}
    return mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init="xavier"))


def test_what_is_not_known_of_a_layer_is_not_counted_as_nothing():
    old, new = counted(4, momentum=0.1), counted(6, momentum=None)
    found = costs(old, new, paired(old, new))
    assert found.unknown == ("norm",)
    assert (found.old.activations is None, found.new.activations) == (False, None)
    assert found.known == (4 * 8, 4 * 8)
    assert found.layers[-1].to_dict()["new"] == {"parameters": 12, "flops": 0, "activation_bytes": None}
    assert found.to_dict()["unknown_activations"] == ["norm"]


def test_two_unknown_costs_are_equal_only_of_equal_layers():
    same, other = counted(4, momentum=None), counted(4, momentum=None, eps=1e-3)
    assert costs(same, same, paired(same, same)).layers == ()
    (row,) = costs(same, other, paired(same, other)).layers
    assert (row.path, row.old, row.new) == ("norm", row.new, row.old)
