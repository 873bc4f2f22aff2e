"""What a bare `init` block does not reach is called by its law, whichever scheme states it."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.core.matrix import Matrix
from modelforge.inits import Elementwise, Law, Normal, TruncatedNormal, Uniform, registry
from modelforge.inits.defaults import ROLE_DEFAULTS
from modelforge.planning.unreached import unreached, unreached_words


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (Normal(0.5, 0.03), "N(0.5, 0.03²)"),
        (Uniform(-0.1, 0.1), "U(-0.1, 0.1)"),
        (TruncatedNormal.with_std(0.0, 0.02), "elsewhere with std 0.02"),
    ],
    ids=str,
)
def test_a_default_is_called_by_its_law(law: Law, words: str, monkeypatch):
    class Elsewhere(Elementwise):
        """A scheme of another name."""

        def law(self, matrix: Matrix) -> Law:
            del matrix
            return law

    registry.register_initializer("elsewhere")(Elsewhere)
    try:
        layers: dict[str, Any] = {"e": {"type": "Embedding", "num_embeddings": 9, "embedding_dim": 4, "padding_idx": 0}}
        monkeypatch.setattr(
            "modelforge.planning.precedence.ROLE_DEFAULTS", {**ROLE_DEFAULTS, "embedding": {"scheme": "elsewhere"}}
        )
        plan = mf.plan(mf.parse({"input": {"shape": [5], "dtype": "int64"}, "layers": layers}, init="xavier"))
    finally:
        registry.unregister_initializer("elsewhere")
    assert f"e.weight: it keeps {words}, the default" in unreached_words(unreached(plan.parameters, plan.ties))
