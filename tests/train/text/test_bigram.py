"""The table of pairs."""

from __future__ import annotations

import tracemalloc

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


def test_a_text_is_counted_in_blocks(monkeypatch: pytest.MonkeyPatch):
    """To the same numbers, in memory that does not grow with the text."""
    tokens = (np.random.default_rng(0).integers(0, 16, 400_000) ** 2).astype(np.uint8)
    before, after = tokens[:-1].reshape(-1, 3), tokens[1:].reshape(-1, 3)
    whole = Bigram.fit(tokens, 256)
    right = whole.bits(before, after)
    pairs, counts = np.unique(tokens[:-1].astype(int) * 256 + tokens[1:], return_counts=True)
    assert np.array_equal(whole.pairs, pairs)
    assert np.array_equal(whole.counts, counts)
    assert np.array_equal(whole.firsts, np.bincount(tokens[:-1], minlength=256))
    assert whole.singles == pytest.approx((np.bincount(tokens, minlength=256) + 1) / (400_000 + 256))
    monkeypatch.setattr("modelforge.train.text.bigram.BLOCK", 4_000)
    tracemalloc.start()
    try:
        model = Bigram.fit(tokens, 256)
        assert model.bits(before, after) == pytest.approx(right, rel=1e-12)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400_000 * 3
    assert np.array_equal(model.counts, whole.counts)
    assert model.weight == whole.weight


def test_of_random_tokens_no_pair_says_anything():
    tokens = np.random.default_rng(0).integers(0, 8, 20_000)
    assert Bigram.fit(tokens[:10_000], 8).bits(tokens[10_000:-1], tokens[10_001:]) == pytest.approx(3, abs=0.02)
