"""torch's transformer layers as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import check

LAYER = {"nhead": 4, "dim_feedforward": 128, "dropout": 0.1}


@pytest.mark.parametrize(
    ("layer", "init"),
    [
        ({"type": "TransformerEncoderLayer", "norm_first": True, "inputs": "memory"}, "torch"),
        ({"type": "TransformerDecoderLayer", "activation": "gelu"}, "torch"),
        ({"type": "Transformer", "num_encoder_layers": 2, "num_decoder_layers": 1}, "torch"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["type"],
)
def test_layers(layer, init):
    first = {"type": "Linear", "out_features": 64}
    layers = {"memory": first, "made": {"inputs": ["input", "memory"]} | LAYER | layer}
    check(mf.parse({"input": {"shape": [8, 64]}, "layers": layers}, init=init))


def test_what_is_not_known_inside_is_named():
    layers = {"made": {"type": "TransformerEncoderLayer"} | LAYER}
    scheme = {"scheme": "xavier", "params": {"*linear1.weight": {"scheme": "identity"}}}
    spec = mf.parse({"input": {"shape": [8, 64]}, "layers": layers}, init=scheme)
    assert mf.predict(mf.plan(spec)).node("made").signal is not None
