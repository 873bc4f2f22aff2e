"""Attention as predicted and as measured."""

from __future__ import annotations

import pytest

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
