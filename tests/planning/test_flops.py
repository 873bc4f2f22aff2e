"""The cost of recurrences: as torch counts it over all steps, and of a million steps in no time."""

from __future__ import annotations

from typing import Any

import pytest
from torch.utils.flop_counter import FlopCounterMode

import modelforge as mf
from modelforge.core.tensors import BATCH
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import plan
from modelforge.planning.study import construct, run


def decided(layer: dict[str, Any], *shapes: list[int]) -> mf.Plan:
    inputs = {f"x{index}": {"shape": shape} for index, shape in enumerate(shapes)}
    layers = {"layer": layer | {"inputs": [*inputs]}}
    return plan(mf.parse({"input": inputs, "layers": layers}, init="xavier"))


LSTM = {"type": "LSTM", "hidden_size": 3, "num_layers": 2, "bidirectional": True}
LAYERS = [
    (LSTM, [[7, 4]]),
    ({"type": "GRU", "hidden_size": 3}, [[7, 4]]),
    ({"type": "RNN", "hidden_size": 3}, [[1, 4]]),
]
BILINEAR = {"type": "Bilinear", "out_features": 5}


@pytest.mark.parametrize(("layer", "shapes"), LAYERS)
def test_the_cost_is_that_of_all_steps(layer: dict[str, Any], shapes: list[list[int]]):
    found = decided(layer, *shapes)
    [leaf] = found.layers
    module = construct(mf.language.registry.get(leaf.type), leaf.arguments)
    with FlopCounterMode(display=False) as counter:
        run(module, leaf.inputs)
    assert num_flops(found) == {"layer": round(counter.get_total_flops() / BATCH)}


@pytest.mark.parametrize(
    ("layer", "shapes", "cost"),
    [
        # 2 · (input + recurrent) products of 4 gates in each step
        ({"type": "LSTM", "hidden_size": 3}, [[10**6, 4]], 2 * 4 * 3 * (4 + 3) * 10**6),
        # 2 · pairs of inputs for each output, at each position
        (BILINEAR | {"out_features": 10**6}, [[3], [4]], 2 * 3 * 4 * 10**6),
        (BILINEAR, [[6, 3], [6, 4]], 2 * 3 * 4 * 5 * 6),
    ],
)
def test_a_million_steps_take_no_longer(layer: dict[str, Any], shapes: list[list[int]], cost: int):
    assert num_flops(decided(layer, *shapes)) == {"layer": cost}
