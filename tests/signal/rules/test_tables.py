"""Embeddings and positions as predicted and as measured."""

from __future__ import annotations

import pytest

from tests.signal.nets import chain, check

TOKENS = {"type": "Embedding", "num_embeddings": 500, "embedding_dim": 64}
INIT = {"scheme": "lecun", "embedding": {"scheme": "normal", "std": 1.0}}


@pytest.mark.parametrize("layer", ["PositionEmbedding", "SinusoidalEmbedding", "SegmentEmbedding", "ClassToken"])
def test_what_is_added_to_tokens(layer):
    head = {"type": "Linear", "out_features": 64}
    check(chain(TOKENS, layer, head, "Tanh", shape=[12], dtype="int64", init=INIT))


@pytest.mark.parametrize("width", [3, 64])
@pytest.mark.parametrize("longest", [0.5, 1.5, 100.0])
def test_rows_are_shortened(width, longest):
    table = {"num_embeddings": 200, "embedding_dim": width, "max_norm": longest}
    for layer in ({"type": "Embedding", **table}, {"type": "EmbeddingBag", **table}):
        check(chain(layer, shape=[12], dtype="int64", init=INIT))
