"""What softmax makes of normal logits: how much of one key there is in a mean over keys."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from modelforge.signal.moments import NODES, REACH

MOST = 100.0
"""The largest variance of logits: softmax picks one key long before."""
POINTS = 400
"""Points of the integral over u, on a logarithmic grid."""
COUNTS = 128
"""Numbers of keys for which it is computed; in between a power of the number is taken."""


def shares(variance: float, keys: int) -> np.ndarray:
    """E Σ a² over 1, 2, …, `keys` keys with independent normal logits; 1 for a single key, e^σ²/T for many.

    1/(Σ e^l)² = ∫ u e^(-u Σ e^l) du, so that E Σ a² = T ∫ u E[e^2l e^(-u e^l)] (E e^(-u e^l))^(T - 1) du, for any σ.
    """
    return _shares(float(f"{min(MOST, variance):.6g}"), keys)


@lru_cache(maxsize=128)
def _shares(variance: float, keys: int) -> np.ndarray:
    z = np.linspace(-REACH, REACH, NODES)
    weights = np.exp(-(z**2) / 2)
    weights /= weights.sum()
    logits = math.sqrt(variance) * z
    reach = REACH * math.sqrt(variance) + 5
    log_u = np.linspace(-math.log(keys) - reach, reach, POINTS)
    scaled = log_u[:, None] + logits
    decay = np.exp(-np.exp(np.minimum(scaled, 50.0)))
    # u²·e^2l: one u belongs to the logarithmic grid.
    twice = (np.exp(2 * np.minimum(scaled, 50.0)) * decay) @ weights
    others = np.clip(decay @ weights, 1e-300, 1.0)
    some = np.unique(np.geomspace(1, keys, COUNTS).round())
    integrals = np.exp(np.log(others) * (some[:, None] - 1)) @ twice * (log_u[1] - log_u[0])
    found = np.log(np.minimum(1.0, some * integrals))
    return np.exp(np.interp(np.log(np.arange(1, keys + 1)), np.log(some), found))
