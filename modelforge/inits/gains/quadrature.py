"""Expectations under a normal law, by adaptive Gauss-Legendre quadrature: exact for functions with kinks and steps.

Panels whose halves disagree with the whole are halved until the kink or step in them is negligible.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np

Integrand = Callable[[np.ndarray], np.ndarray]
"""From points (n,) to the values of k functions there (k, n), elementwise."""

_REACH = 12.0
_TOLERANCE = 1e-11
_MAX_HALVINGS = 40
# Rounding in a function that computes in float32 is rough everywhere, and halving would never end.
_MAX_PANELS = 20_000


def expectations(integrand: Integrand, variance: float = 1.0) -> np.ndarray:
    """E f(x) with x ~ N(0, variance), for each of the k functions; ±12σ stand for the whole line.

    What has not died out there is infinite, and what is not a number anywhere is not a number.

    >>> expectations(lambda x: np.stack([x**2, np.abs(x), x > 0.3])).round(9).tolist()
    [1.0, 0.797884561, 0.382088578]
    """
    scale = math.sqrt(variance)
    left, right = _first_panels(scale)
    # What is infinite or not a number is not rough, and ends up in the sum.
    with np.errstate(over="ignore", invalid="ignore"):
        whole = _integrate(integrand, scale, left, right)
        num_functions = len(whole)
        done, size = np.zeros(num_functions), np.zeros(num_functions)
        for _ in range(_MAX_HALVINGS):
            middle = (left + right) / 2
            halves = _integrate(integrand, scale, np.stack([left, middle]), np.stack([middle, right]))
            sums = halves.sum(axis=1)
            tolerance = _TOLERANCE * (size + np.abs(sums).sum(axis=1))
            rough = (np.abs(sums - whole) > tolerance[:, None]).any(axis=0)
            done += sums[:, ~rough].sum(axis=1)
            size += np.abs(sums[:, ~rough]).sum(axis=1)
            left, right = np.concatenate([left[rough], middle[rough]]), np.concatenate([middle[rough], right[rough]])
            whole = halves[:, :, rough].reshape(num_functions, -1)
            if not 0 < len(left) <= _MAX_PANELS:
                break
        ends = np.abs(integrand(scale * np.array([-_REACH, _REACH]))).max(axis=1) * _density(_REACH)
        return np.where(ends > 1e-9 * size, np.inf, done + whole.sum(axis=1))


def _integrate(integrand: Integrand, scale: float, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """∫ f(scale·z) dN(0, 1) for each function over each panel."""
    nodes, weights = _gauss_legendre()
    half = (right - left)[..., None] / 2
    z = left[..., None] + half * (nodes + 1)
    values = integrand(scale * z.ravel())
    return (values.reshape(-1, *z.shape) * _density(z) * weights * half).sum(axis=-1)


def _density(z: np.ndarray | float) -> np.ndarray:
    return np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(8)


@lru_cache(maxsize=16)
def _first_panels(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Panels in z whose ends fall on the usual kinks, where scale·z is a multiple of ½, and that shrink towards those:
    between an end and the first node of a panel, a step would not be seen."""
    grid = np.arange(-_REACH, _REACH + 0.25, 0.5)
    steps = 0.5 ** np.arange(2, 22)
    kinks = grid[:, None] + np.concatenate([-steps, [0.0], steps])
    ends = np.unique(np.concatenate([grid, np.clip(kinks.ravel() / scale, -_REACH, _REACH)]))
    return ends[:-1], ends[1:]
