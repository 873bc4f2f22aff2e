"""Singular values of a large Gaussian matrix beside a multiple of the identity: how they are distributed."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

_NUM_POINTS = 2000


@lru_cache(maxsize=256)
def top_moments(alpha: float, beta: float, share: float) -> tuple[float, float]:
    """Means of s and of s², over the largest singular values s of alpha·Z + beta·I, of which they are this share.

    Z is square with independent entries of N(0, 1/d), and d is large. The transform m of the law of s² solves
    m = 1 / (beta² / (1 + alpha²·m) - (1 + alpha²·m)·s²), a cubic equation for n = alpha²·m, and the density is the
    imaginary part of m (Dozier and Silverstein, On the empirical distribution of eigenvalues of large dimensional
    information-plus-noise-type matrices, 2007).

    >>> mean, square = top_moments(1.0, 0.0, 1.0)  # a quarter of a circle, whose radius is 2
    >>> round(mean / (8 / (3 * np.pi)), 4), round(square, 4)
    (1.0, 1.0)
    """
    low, high = _ends(alpha, beta)
    angle = (np.arange(_NUM_POINTS) + 0.5) / _NUM_POINTS * math.pi
    s = (low + high) / 2 + (high - low) / 2 * np.cos(angle)
    a, b, z = alpha**2, beta**2, s**2
    companion = np.zeros((_NUM_POINTS, 3, 3))
    companion[:, 0] = np.stack([np.full_like(z, -2), (b - a) / z - 1, -a / z], axis=1)
    companion[:, 1, 0] = companion[:, 2, 1] = 1
    density = np.abs(np.linalg.eigvals(companion).imag).max(axis=1) * s
    # Where all singular values are about equal, rounding may leave no density between the ends; then any will do.
    weights = (density + np.finfo(float).tiny) * np.sin(angle)
    mass, first, second = (np.append(0.0, np.cumsum(weights * power)) / weights.sum() for power in (1, s, z))
    return float(np.interp(share, mass, first)) / share, float(np.interp(share, mass, second)) / share


def _ends(alpha: float, beta: float) -> tuple[float, float]:
    """Least and greatest singular value: where the discriminant of the cubic equation vanishes."""
    middle, root = beta**2 + 2.5 * alpha**2, math.sqrt(alpha**2 + 8 * beta**2)
    high = middle + alpha * (root**2 + root * alpha + alpha**2) / (root + alpha)
    if beta <= alpha:
        return 0.0, math.sqrt(high)
    low = middle - alpha * (root**2 - root * alpha + alpha**2) / (root - alpha)
    return math.sqrt(max(low, 0.0)), math.sqrt(high)
