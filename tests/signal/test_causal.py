"""Covariances that depend on the later of two positions, against the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.signal.causal import as_later, of_means, of_prefixes, to_sources

STEPS = 7
LATER = np.maximum.outer(np.arange(STEPS), np.arange(STEPS))


@pytest.fixture
def covariance() -> np.ndarray:
    return np.random.default_rng(0).random(STEPS)


def test_means_over_prefixes(covariance):
    whole = covariance[LATER]
    pairs = [whole[:t, :t][~np.eye(t, dtype=bool)].mean() for t in range(2, STEPS + 1)]
    assert of_prefixes(covariance) == pytest.approx([0, *pairs])
    assert as_later(covariance)[0] == pytest.approx(pairs[-1])
    means = [np.mean([whole[:s, :t].mean() for s in range(1, t)]) for t in range(2, STEPS + 1)]
    assert of_means(covariance) == pytest.approx([0, *means])


def test_what_means_send_back(covariance):
    steps = np.arange(1, STEPS + 1)
    weights = np.tril(np.ones((STEPS, STEPS))) / steps[:, None]
    arriving = covariance[LATER]
    energy = arriving[np.diag_indices(STEPS)] = np.random.default_rng(1).random(STEPS) + 1
    sent = weights.T @ arriving @ weights
    energies, shared = to_sources(energy, covariance, 1 / steps, 1 / steps)
    assert energies == pytest.approx(np.diag(sent))
    assert shared[1:] == pytest.approx([sent[:t, t].mean() for t in range(1, STEPS)])
