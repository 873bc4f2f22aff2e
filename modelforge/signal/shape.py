"""`Shape`: the sizes of a tensor, and which of its dimensions are examples, units and positions."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a tensor, and which of its dimensions are what."""

    sizes: tuple[int, ...]
    """Batch included."""
    batch: int | None
    """The dimension of the examples; None where there is none."""
    units: int
    """The dimension of the features or channels; all others but the batch's are positions."""

    @property
    def num_units(self) -> int:
        return self.sizes[self.units] if self.sizes else 1

    @property
    def num_examples(self) -> int:
        return 1 if self.batch is None else self.sizes[self.batch]

    def fewer(self, swing: float) -> float:
        """How many times fewer examples and positions there seem to be, as those of large energies count more.

        Formula: 1/Σ p² of their shares p is n·(1 + s)/(n + s) times less than n: one has all where s is large

        Args:
            swing: s, the relative variance of their energies.
        """
        count = self.num_examples * self.num_positions
        return (1 + swing) * count / (count + swing)

    @property
    def num_positions(self) -> int:
        return prod(size for axis, size in enumerate(self.sizes) if axis not in (self.batch, self.units))


def fading(near: float, distance: float | np.ndarray) -> np.ndarray:
    """`Signal.near` of positions some steps apart: of means over windows that slide apart, r = 1 - d·(1 - r₁)."""
    return np.maximum(0.0, 1 - (1 - near) * np.asarray(distance))
