"""Fans of torch's layers as numbers that a reader can check by hand: what an output sums over, what an input reaches.

`rows.py` has every layer with small sizes; here each kind stands alone, with sizes that cannot be confused.
"""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf

Fans = tuple[float, float, int]
"""fan_in, fan_out, and the number of logical blocks that have them."""

SEQUENCE, IMAGE = (7, 6), (6, 16, 16)

# fmt: off
TABLE: list[tuple[str, dict[str, Any], tuple[tuple[int, ...], ...], dict[str, Fans]]] = [
    ("Linear", {"out_features": 10}, ((6,),), {"weight": (6, 10, 1)}),
    # Channels times taps, on either side.
    ("Conv1d", {"out_channels": 10, "kernel_size": 5}, ((6, 16),), {"weight": (6 * 5, 10 * 5, 1)}),
    ("Conv2d", {"out_channels": 10, "kernel_size": (3, 5)}, (IMAGE,), {"weight": (6 * 15, 10 * 15, 1)}),
    ("Conv3d", {"out_channels": 10, "kernel_size": (1, 3, 5)}, ((6, 8, 8, 8),), {"weight": (6 * 15, 10 * 15, 1)}),
    # Taps further apart are as many.
    ("Conv2d", {"out_channels": 10, "kernel_size": 3, "dilation": 2}, (IMAGE,), {"weight": (6 * 9, 10 * 9, 1)}),
    # Two groups: 3 channels to 5 each.
    ("Conv2d", {"out_channels": 10, "kernel_size": 3, "groups": 2}, (IMAGE,), {"weight": (3 * 9, 5 * 9, 2)}),
    # Depthwise, one filter a channel and two.
    ("Conv2d", {"out_channels": 6, "kernel_size": 3, "groups": 6}, (IMAGE,), {"weight": (9, 9, 6)}),
    ("Conv2d", {"out_channels": 12, "kernel_size": 3, "groups": 6}, (IMAGE,), {"weight": (9, 2 * 9, 6)}),
    ("Conv1d", {"out_channels": 6, "kernel_size": 4, "groups": 6}, ((6, 16),), {"weight": (4, 4, 6)}),
    # Transposed: each input reaches all taps; with stride 2, each output meets half of them along each side.
    ("ConvTranspose2d", {"out_channels": 10, "kernel_size": 3}, (IMAGE,), {"weight": (6 * 9, 10 * 9, 1)}),
    ("ConvTranspose1d", {"out_channels": 10, "kernel_size": 4, "stride": 2}, ((6, 16),), {"weight": (6 * 2, 40, 1)}),
    ("ConvTranspose2d", {"out_channels": 10, "kernel_size": 4, "stride": 2}, (IMAGE,), {"weight": (6 * 4, 160, 1)}),
    ("ConvTranspose3d", {"out_channels": 10, "kernel_size": 4, "stride": 2}, ((6, 4, 4, 4),),
     {"weight": (6 * 8, 10 * 64, 1)}),
    ("ConvTranspose2d", {"out_channels": 10, "kernel_size": (4, 6), "stride": (2, 3), "groups": 2}, (IMAGE,),
     {"weight": (3 * 4, 5 * 24, 2)}),
    # A row is looked up, not summed over.
    ("Embedding", {"num_embeddings": 50, "embedding_dim": 10}, ((7,),), {"weight": (1, 10, 1)}),
    ("EmbeddingBag", {"num_embeddings": 50, "embedding_dim": 10}, ((7,),), {"weight": (1, 10, 1)}),
    # All pairs of 6 and 3 come in; an entry reaches 10 · 3 or 10 · 6, on average 45.
    ("Bilinear", {"out_features": 10}, ((6,), (3,)), {"weight": (18, 45, 1)}),
    # Queries, keys and values in one tensor, and in three.
    ("MultiheadAttention", {"num_heads": 2}, (SEQUENCE,), {"in_proj_weight": (6, 6, 3), "out_proj.weight": (6, 6, 1)}),
    ("MultiheadAttention", {"num_heads": 2}, (SEQUENCE, (9, 4), (9, 5)),
     {"q_proj_weight": (6, 6, 1), "k_proj_weight": (4, 6, 1), "v_proj_weight": (5, 6, 1),
      "out_proj.weight": (6, 6, 1)}),
    ("MultiheadAttention", {"num_heads": 2, "kdim": 4, "vdim": 6}, (SEQUENCE, (9, 4), (9, 6)),
     {"q_proj_weight": (6, 6, 1), "k_proj_weight": (4, 6, 1), "v_proj_weight": (6, 6, 1),
      "out_proj.weight": (6, 6, 1)}),
    # Each gate is a matrix of its own; the second layer reads 10 units, or 20 of both directions.
    ("RNN", {"hidden_size": 10, "num_layers": 2}, (SEQUENCE,),
     {"weight_ih_l0": (6, 10, 1), "weight_hh_l0": (10, 10, 1),
      "weight_ih_l1": (10, 10, 1), "weight_hh_l1": (10, 10, 1)}),
    ("GRU", {"hidden_size": 10, "num_layers": 2, "bidirectional": True}, (SEQUENCE,),
     {"weight_ih_l0": (6, 10, 3), "weight_hh_l0": (10, 10, 3),
      "weight_ih_l0_reverse": (6, 10, 3), "weight_hh_l0_reverse": (10, 10, 3),
      "weight_ih_l1": (20, 10, 3), "weight_hh_l1": (10, 10, 3),
      "weight_ih_l1_reverse": (20, 10, 3), "weight_hh_l1_reverse": (10, 10, 3)}),
    ("LSTM", {"hidden_size": 10, "num_layers": 3}, (SEQUENCE,),
     {"weight_ih_l0": (6, 10, 4), "weight_hh_l0": (10, 10, 4),
      "weight_ih_l1": (10, 10, 4), "weight_hh_l1": (10, 10, 4),
      "weight_ih_l2": (10, 10, 4), "weight_hh_l2": (10, 10, 4)}),
    # Of 10 units 4 numbers go on: to the next step, and to the next layer from both directions.
    ("LSTM", {"hidden_size": 10, "num_layers": 2, "bidirectional": True, "proj_size": 4}, (SEQUENCE,),
     {"weight_ih_l0": (6, 10, 4), "weight_hh_l0": (4, 10, 4), "weight_hr_l0": (10, 4, 1),
      "weight_ih_l0_reverse": (6, 10, 4), "weight_hh_l0_reverse": (4, 10, 4), "weight_hr_l0_reverse": (10, 4, 1),
      "weight_ih_l1": (8, 10, 4), "weight_hh_l1": (4, 10, 4), "weight_hr_l1": (10, 4, 1),
      "weight_ih_l1_reverse": (8, 10, 4), "weight_hh_l1_reverse": (4, 10, 4), "weight_hr_l1_reverse": (10, 4, 1)}),
    ("LSTMCell", {"hidden_size": 10}, ((6,),), {"weight_ih": (6, 10, 4), "weight_hh": (10, 10, 4)}),
    ("GRUCell", {"hidden_size": 10}, ((6,),), {"weight_ih": (6, 10, 3), "weight_hh": (10, 10, 3)}),
    ("RNNCell", {"hidden_size": 10}, ((6,),), {"weight_ih": (6, 10, 1), "weight_hh": (10, 10, 1)}),
]
# fmt: on
IDS = [f"{name}-{index}" for index, (name, *_) in enumerate(TABLE)]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(("name", "arguments", "shapes", "expected"), TABLE, ids=IDS)
def test_fans_by_hand(name, arguments, shapes, expected):
    dtype = "int64" if name.startswith("Embedding") else "float32"
    inputs = {f"x{index}": {"shape": list(shape), "dtype": dtype} for index, shape in enumerate(shapes)}
    layer = {"type": name, **arguments, "inputs": list(inputs)}
    plan = mf.plan(mf.parse({"input": inputs, "layers": {"layer": layer}}, init={"scheme": "normal", "std": 0.1}))
    found = {}
    for item in plan.parameters:
        if item.role in ("weight", "recurrent", "embedding"):
            [(fan_in, fan_out)] = {(block.fan_in, block.fan_out) for block, _ in item.fills}
            found[item.path.removeprefix("layer.")] = (fan_in, fan_out, len(item.fills))
    assert found == expected
