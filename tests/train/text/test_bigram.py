"""The table of pairs."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.train.text.bigram import Bigram


def test_pairs_that_were_never_seen_cost_finitely_much():
    tokens = np.array([0, 1, 2] * 100)
    model = Bigram.fit(tokens, 5)
    assert model.bits(tokens[:-1], tokens[1:]) < 0.05
    assert 5 < model.bits(np.array([0]), np.array([4])) < 30
    chances = [2 ** -model.bits(np.array([0]), np.array([after])) for after in range(5)]
    assert sum(chances) == pytest.approx(1)


def test_of_random_tokens_no_pair_says_anything():
    tokens = np.random.default_rng(0).integers(0, 8, 20_000)
    assert Bigram.fit(tokens[:10_000], 8).bits(tokens[10_000:-1], tokens[10_001:]) == pytest.approx(3, abs=0.02)
