"""Padding that is read: the layers that are named, and those that have a mask or see none."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.linting.subject import Training

WORDS: dict[str, Any] = {"type": "Embedding", "num_embeddings": 20, "embedding_dim": 8}
PADDED = WORDS | {"padding_idx": 0}
MASK = {"type": "PaddingMask", "padding_idx": 0}
MEAN = {"type": "Mean", "dim": 1}
LAST = {"type": "Select", "dim": 1, "index": -1}
ATTEND = {"type": "SelfAttention", "num_heads": 2}
RIGHT, LEFT = (Training("AdamW", False, padding_idx=0, padding=side) for side in ("right", "left"))


def found(training: Training | None = None, **layers: Any) -> list[str]:
    plan = mf.plan(mf.parse({"input": {"shape": [6], "dtype": "int64"}, "layers": layers}, init="xavier"))
    return [problem.message for problem in mf.lint(plan, training, rules=["MW139"])]


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ({"words": PADDED, "mean": MEAN}, "Mean at `mean` averages over steps of padding"),
        ({"words": PADDED, "attend": ATTEND, "first": LAST | {"index": 0}}, "SelfAttention at `attend` attends to"),
        ({"words": PADDED, "attend": {"type": "MultiheadAttention", "num_heads": 2}}, "MultiheadAttention at `attend`"),
        ({"words": PADDED, "rnn": {"type": "LSTM", "hidden_size": 4}, "mean": MEAN}, "Mean at `mean`"),
        ({"words": PADDED, "attend": ATTEND | {"causal": True}}, ""),
        ({"words": PADDED, "last": LAST}, ""),  # the side is not known
        ({"words": WORDS, "mean": MEAN}, ""),  # nor whether there is padding
        ({"words": PADDED, "mean": MEAN | {"dim": 2}}, ""),
        ({"bag": PADDED | {"type": "EmbeddingBag"}, "head": {"type": "Linear", "out_features": 2}}, ""),
        ({"mask": MASK, "words": PADDED | {"inputs": "input"}, "mean": MEAN | {"inputs": ["words", "mask"]}}, ""),
        ({"mask": MASK, "words": PADDED | {"inputs": "input"}, "it": ATTEND | {"inputs": ["words", "mask"]}}, ""),
    ],
)
def test_what_reads_padding(layers: dict[str, Any], says: str):
    [said] = found(**layers) or [""]
    assert says in said
    assert bool(says) == bool(said)


def test_the_data_says_whether_there_is_padding_and_where():
    layers = {"words": WORDS, "rnn": {"type": "GRU", "hidden_size": 4}, "last": LAST}
    [said] = found(RIGHT, **layers)
    assert said.startswith("Select at `last` may take a step of padding")
    assert not found(LEFT, **layers)
    assert found(LEFT, words=WORDS, mean=MEAN)
