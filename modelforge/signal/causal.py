"""Pairs of positions where each position reads only those before it: their covariance depends on the later of the two.

A mean over the first t positions has the numbers of all earlier means in it, so that two means have 1/t of a number in
common. `later` holds such a covariance by the later position, in units of its mean over all pairs.
"""

from __future__ import annotations

import numpy as np


def as_later(covariance: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean over all pairs of a covariance that depends on the later position, and the covariance in units of it."""
    places = np.arange(len(covariance))
    mean = float(covariance @ places / max(1, places.sum()))
    return mean, covariance / mean if mean else np.ones(len(covariance))


def of_prefixes(covariance: np.ndarray) -> np.ndarray:
    """For each t the mean over pairs of different positions up to t; 0 for the first, which has none."""
    steps = np.arange(1, len(covariance) + 1)
    return np.cumsum((steps - 1) * covariance) / np.maximum(1, steps * (steps - 1) / 2)


def of_means(covariance: np.ndarray) -> np.ndarray:
    """For each t the mean covariance of two means over positions: those up to t, and those up to any s < t."""
    steps = np.arange(1.0, len(covariance) + 1)
    harmonic = np.cumsum(1 / steps) - 1 / steps  # Σ 1/i for i < j
    sums = np.cumsum(covariance)
    # A position j is in the means of all s ≥ j, and meets k ≤ j as often as j says, and each k > j once.
    rest = steps * covariance - sums
    below, weighted, harmonics = (np.cumsum(item) - item for item in (rest, harmonic * rest, harmonic))
    total = harmonic * below - weighted + sums * (harmonic * (steps - 1) - harmonics)
    return total / np.maximum(1, steps * (steps - 1))


def to_sources(
    energy: np.ndarray, covariance: np.ndarray, own: np.ndarray, shared: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What means over the first t positions send back: the energy for each position, and the covariance by the later.

    Args:
        energy: Of what arrives at each mean.
        covariance: Of what arrives at two means, by the later one.
        own: Σ a² of each mean.
        shared: Σ a a′ of a mean and any earlier one, by the later one.
    """
    steps = np.arange(1.0, len(energy) + 1)
    harmonic = np.cumsum(1 / steps) - 1 / steps
    several = _from_here(covariance * shared * harmonic) - harmonic * _from_here(covariance * shared)
    energies = _from_here(own / steps * energy) + 2 * several
    others = (1 - own) / np.maximum(1, steps * (steps - 1))
    apart = covariance / steps
    both = _from_here(apart * harmonic) - harmonic * _from_here(apart)
    # Means that read only the earlier of the two positions add Σ κ/t, a mean over that position.
    return energies, _from_here(others * energy) + 2 * both + _from_here(apart)


def _from_here(values: np.ndarray) -> np.ndarray:
    """Σ over this position and all later ones."""
    return np.cumsum(values[::-1])[::-1]
