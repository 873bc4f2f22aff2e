"""Attention as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.measured import measured, misses
from tests.signal.nets import chain, check

WIDE = [24, 256]


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "SelfAttention", "num_heads": 4, "scale": 0.02},
        {"type": "SelfAttention", "num_heads": 4, "num_kv_heads": 2, "scale": 0.02},
        {"type": "SelfAttention", "num_heads": 4, "scale": 0.02, "causal": True},
    ],
    ids=["plain", "grouped", "causal"],
)
def test_values_are_averaged(layer):
    """With logits close to 0; larger ones depend on values through the tokens, which is left out."""
    paths = check(chain(layer, shape=WIDE, init={"scheme": "xavier"}))
    assert paths.num_parameters


def test_the_weights_are_an_output_too():
    """Two heads, of which the weights are means; with logits close to 0."""
    layers = {
        "look": {"type": "MultiheadAttention", "num_heads": 2, "need_weights": True, "init": {"gain": 0.5}},
        "weights": {"type": "Identity", "inputs": "look.1"},
        "both": {"type": "Flatten", "inputs": "look"},
    }
    model = {"input": {"shape": [24, 128]}, "layers": layers, "outputs": {"one": "both", "two": "weights"}}
    plan = mf.plan(spec := mf.parse(model, init={"scheme": "xavier"}))
    prediction = mf.predict(plan, batch_size=16)
    assert prediction.node("weights").signal.mean == pytest.approx(1 / 24)
    assert not misses(prediction, measured(plan, spec, seeds=6, batch=16))
