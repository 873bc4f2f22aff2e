"""Positions made of positions by fixed weights: means over windows, interpolation, padding.

Such a layer does the same to each unit, and to each dimension of positions by itself: a matrix a dimension says it all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import torch
from torch import Tensor

from modelforge.core.frozen import FrozenDict
from modelforge.signal.rule import Passed, passed
from modelforge.signal.rules.dense import normal_noise
from modelforge.signal.shape import Shape, fading
from modelforge.signal.value import FLAT, Gradient, Preactivation, Profile, Signal, inherited

LONGEST = 1024
"""Positions of a dimension from which on fewer stand for all: borders hardly count there."""


def matrix_of(function: Callable[[Tensor], Tensor], size: int) -> np.ndarray:
    """The weights (made, read) of a function of tensors (examples, channels, positions), found on unit vectors."""
    unit = torch.eye(min(size, LONGEST), dtype=torch.float64, device="cpu")
    with torch.no_grad():
        return function(unit[None])[0].T.numpy()


def resampled(signal: Signal, shape: Shape, matrices: Sequence[np.ndarray]) -> Passed:
    """What sums over positions are, weighted by fixed numbers.

    Formula: E y² = (Σ m)²·b + Σ m m′·r·(E x² - b) over all pairs that are read, b the covariance of positions far
        apart and r how much more alike they are, which fades with their distance; pairs alike; E g² the same with the
        matrix transposed and r = 0 for any two

    Args:
        signal: What arrives, its units in dimension 1.
        shape: Of what is made.
        matrices: The weights (made, read) of each dimension of positions.
    """
    one = [_Axis(matrix, signal.near) for matrix in matrices]
    back_one = [_Axis(matrix.T) for matrix in matrices]
    second, along, profile = _energies(one, signal.second, signal.along, signal.profile, signal.shape.sizes)
    sums = prod(axis.mean_sum for axis in one)
    alike = prod(axis.power(4) / (axis.power(2) or 1.0) ** 2 for axis in one)
    output = signal.remade(
        shape,
        mean=sums * signal.mean,
        second=second,
        along=along,
        across=sums**2 * signal.across,
        third=prod(axis.power(3) for axis in one) * signal.third,
        tail=2 + (signal.tail - 2) * alike,
        profile=profile,
        later=FLAT,
        near=_near(one),
        preactivation=_copied(signal, one),
    )
    output = replace(
        output, noise=max(signal.noise, normal_noise(output)), swing=signal.swing_of(output, min(1.0, alike))
    )

    def back(gradient: Gradient) -> Gradient:
        energy, along, profile = _energies(back_one, gradient.energy, gradient.along, gradient.profile, shape.sizes)
        across = prod(axis.mean_sum for axis in back_one) ** 2 * gradient.across
        made = replace(gradient, energy=energy, along=along, across=across, profile=profile, through=None)
        return inherited(made) if signal.shape.num_positions > shape.num_positions else made

    return passed(output, back)


class _Axis:
    """One dimension, as sums over what is read, of which neighbours may be more alike than others."""

    def __init__(self, matrix: np.ndarray, near: float = 0.0) -> None:
        self.matrix = matrix
        places = np.arange(matrix.shape[1])
        self._near = fading(near, np.abs(np.subtract.outer(places, places))) if near > 0 else None
        self.sums = matrix.sum(axis=1)
        self.squares = self._products(matrix, matrix)
        self.mean_sum = float(self.sums.mean())
        self.shared = float(self._products(matrix.sum(axis=0), matrix.sum(axis=0))) / len(matrix) ** 2
        """Σ m m′·r of two of what is made, a mean over all pairs."""

    def _products(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Σ m m′·r over what is read."""
        return ((one if self._near is None else one @ self._near) * other).sum(axis=-1)

    @property
    def alike(self) -> float:
        """The mean of r over all pairs of what is read."""
        return 1 / self.matrix.shape[1] if self._near is None else float(self._near.mean())

    @property
    def neighbours(self) -> float:
        """The correlation of two neighbours, about what any two have in common."""
        whole = float(self.squares[1:].mean()) if len(self.matrix) > 1 else 0.0
        return float(self._products(self.matrix[1:], self.matrix[:-1]).mean()) / whole if whole else 0.0

    @property
    def copies(self) -> bool:
        return bool(((self.matrix == 1).sum(axis=1) == 1).all() and ((self.matrix != 0).sum(axis=1) == 1).all())

    def power(self, exponent: int) -> float:
        """Σ mᵏ over what is read, a mean over what is made."""
        return float((self.matrix**exponent).sum(axis=1).mean())

    def energies(self, profile: np.ndarray | None) -> np.ndarray:
        """Σ m m′·r·√(e e′) of what is made, by place."""
        if profile is None or len(profile) != self.matrix.shape[1]:
            return self.squares
        sized = self.matrix * np.sqrt(profile)
        return self._products(sized, sized)


def _energies(
    axes: Sequence[_Axis], energy: float, along: float, profile: Profile, sizes: Sequence[int]
) -> tuple[float, float, Profile]:
    """The energy and the covariance of what is made, and the energy by place."""
    along = _far_apart(axes, energy, along)
    own = [axis.energies(profile.get(place)) for place, axis in enumerate(axes, start=2)]
    alone = [axis.squares for axis in axes]
    sums = [axis.sums**2 for axis in axes]
    means = [[float(part.mean()) for part in parts] for parts in (own, alone, sums)]
    second = prod(means[0]) * energy + (prod(means[2]) - prod(means[1])) * along
    count = prod(len(axis.matrix) for axis in axes)
    shared = prod(axis.shared for axis in axes)
    pairs = shared * energy + (prod(axis.mean_sum for axis in axes) ** 2 - shared) * along
    apart = (pairs - second / count) * count / (count - 1) if count > 1 else 0.0
    shapes: dict[int, np.ndarray] = {}
    for place, axis in enumerate(axes):
        others = [prod(mean for at, mean in enumerate(part) if at != place) for part in means]
        by_place = own[place] * others[0] * energy
        by_place = by_place + (sums[place] * others[2] - alone[place] * others[1]) * along
        is_whole = axis.matrix.shape[1] == sizes[place + 2]
        if is_whole and second > 0 and not np.allclose(by_place, second, rtol=1e-9):
            shapes[place + 2] = np.maximum(by_place, 0.0) / second
    return second, apart, FrozenDict(shapes)


def _far_apart(axes: Sequence[_Axis], energy: float, along: float) -> float:
    """The covariance of two positions far apart, from that of any two."""
    count = prod(axis.matrix.shape[1] for axis in axes)
    near = (prod(axis.alike for axis in axes) * count - 1) / (count - 1) if count > 1 else 0.0
    return (along - near * energy) / (1 - near) if near < 1 else along


def _near(axes: Sequence[_Axis]) -> float:
    """How much more alike neighbours are than any two positions."""
    return float(np.mean([max(0.0, axis.neighbours) for axis in axes])) if axes else 0.0


def _copied(signal: Signal, axes: Sequence[_Axis]) -> Preactivation | None:
    """The activation before, if all that is made is a copy of something."""
    if signal.preactivation is None or not all(axis.copies for axis in axes):
        return None
    return replace(signal.preactivation, near=_near([_Axis(axis.matrix, signal.preactivation.near) for axis in axes]))


def adaptive_means(size: int, count: int) -> np.ndarray:
    """The weights (made, read) of means over windows that cover all positions."""
    if size > LONGEST and count > LONGEST // 16:
        size, count = LONGEST, max(1, round(count * LONGEST / size))
    matrix = np.zeros((count, size))
    for place, row in enumerate(matrix):
        start, end = place * size // count, -(-(place + 1) * size // count)
        row[start:end] = 1 / (end - start)
    return matrix
