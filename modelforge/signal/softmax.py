"""What softmax makes of normal logits: how much of one key there is in a mean over keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np

from modelforge.signal.moments import REACH, normal_points

MOST = 100.0
"""The largest variance of logits: softmax picks one key long before."""
POINTS = 400
"""Points of the integral over u, on a logarithmic grid."""
COUNTS = 128
"""Numbers of keys for which it is computed; in between a power of the number is taken."""
GAUSS = 8
"""Points of an integral over the correlation of logits."""


def shares(variance: float, keys: int) -> np.ndarray:
    """E Σ a² over 1, 2, …, `keys` keys with independent normal logits; 1 for a single key, e^σ²/T for many.

    1/(Σ e^l)² = ∫ u e^(-u Σ e^l) du, so that E Σ a² = T ∫ u E[e^2l e^(-u e^l)] (E e^(-u e^l))^(T - 1) du, for any σ.
    """
    return _shares(float(f"{min(MOST, variance):.6g}"), keys)


@dataclass(frozen=True, slots=True)
class Powers:
    """Moments of the shares a of n keys with independent normal logits."""

    second: float
    """E Σ a²."""
    third: float
    """E Σ a³."""
    square: float
    """E (Σ a²)²."""


def powers(variance: float, keys: int) -> Powers:
    """The moments of shares, from 1/(Σ e^l)^k = ∫ u^(k - 1) e^(-u Σ e^l) du / (k - 1)!."""
    return _powers(float(f"{min(MOST, variance):.6g}"), keys)


@lru_cache(maxsize=512)
def _powers(variance: float, keys: int) -> Powers:
    if keys == 1:
        return Powers(1.0, 1.0, 1.0)
    grid = _grid(variance, keys)
    second, third, fourth = (
        min(1.0, keys * grid.integral(power, keys - 1) / factorial(power - 1)) for power in (2, 3, 4)
    )
    pairs = keys * (keys - 1) * float((grid.part(2) ** 2 * grid.others ** (keys - 2)).sum() * grid.width) / 6
    return Powers(second, third, min(1.0, fourth + pairs))


def log_sum(variance: float, keys: int) -> tuple[float, float]:
    """The mean and variance of ln Σ e^l over independent normal logits.

    Formula: d E/dσ² = ½(1 - E Σ a²); Var = σ²·∫ E Σ a a′ dρ, logits l and l′ of correlation ρ
    """
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS)
    parts = np.array([shares(variance * (node + 1) / 2, keys)[-1] for node in nodes])
    mean_share = float(weights @ parts) / 2
    return math.log(keys) + variance * (1 - mean_share) / 2, variance * mean_share


@dataclass(frozen=True)
class _Grid:
    """The integrand over u on a logarithmic grid, for one normal logit."""

    scaled: np.ndarray
    """ln u + l by u and logit."""
    weights: np.ndarray
    decay: np.ndarray
    others: np.ndarray
    """E e^(-u e^l) by u."""
    width: float

    def part(self, power: int) -> np.ndarray:
        """u^power·E e^(power·l) e^(-u e^l) by u."""
        return (np.exp(power * np.minimum(self.scaled, 50.0)) * self.decay) @ self.weights

    def integral(self, power: int, rest: int) -> float:
        """∫ of it times what `rest` other keys give."""
        return float((self.part(power) * self.others**rest).sum() * self.width)


@lru_cache(maxsize=16)
def _grid(variance: float, keys: int) -> _Grid:
    z, weights = normal_points()
    logits = math.sqrt(variance) * z
    reach = REACH * math.sqrt(variance) + 5
    log_u = np.linspace(-math.log(keys) - reach, reach, POINTS)
    scaled = log_u[:, None] + logits
    decay = np.exp(-np.exp(np.minimum(scaled, 50.0)))
    return _Grid(scaled, weights, decay, np.clip(decay @ weights, 1e-300, 1.0), float(log_u[1] - log_u[0]))


@lru_cache(maxsize=128)
def _shares(variance: float, keys: int) -> np.ndarray:
    grid = _grid(variance, keys)
    some = np.unique(np.geomspace(1, keys, COUNTS).round())
    integrals = np.exp(np.log(grid.others) * (some[:, None] - 1)) @ grid.part(2) * grid.width
    found = np.log(np.minimum(1.0, some * integrals))
    return np.exp(np.interp(np.log(np.arange(1, keys + 1)), np.log(some), found))
