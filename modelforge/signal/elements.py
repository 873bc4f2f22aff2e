"""`Elements`: how elements of a tensor differ from normal numbers of one law, until weights mix them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

APART = 1.2
"""The ratio of variances from which on units are of several laws."""


@dataclass(frozen=True, slots=True)
class Elements:
    """What is known of elements that are no normal numbers of one law."""

    bent: str = ""
    """What they are where they are not normal, in words."""
    thinned: bool = False
    """Whether some are 0 by chance, and the others normal."""
    copies: bool = False
    """Whether some are copies of others, as in windows that overlap."""
    variances: np.ndarray | None = field(default=None, repr=False)
    """Of each unit, with mean 1, where units of several laws lie side by side."""
    lean: float | None = None
    """The mean skewness of units, each about its own mean, where these differ."""

    @property
    def apart(self) -> bool:
        """Whether units are of several laws."""
        return self.variances is not None and bool(self.variances.max() > APART * self.variances.min())

    def by_group(self, size: int) -> np.ndarray | None:
        """The mean variance of the group of each unit, which a norm divides by; None where all are alike.

        Args:
            size: Units in a group.
        """
        if self.variances is None or len(self.variances) % size:
            return None
        return self.variances.reshape(-1, size).mean(1).repeat(size)


@dataclass(frozen=True, slots=True)
class Part:
    """A tensor that lies beside others."""

    size: int
    """Its units."""
    variance: float
    """The mean of those of its units."""
    lean: float
    """Their mean skewness."""
    elements: Elements | None


def side_by_side(parts: Sequence[Part], lean: float) -> Elements | None:
    """The elements of several tensors as one, whose skewness about one mean for all is given."""
    bent = next((part.elements.bent for part in parts if part.elements is not None and part.elements.bent), "")
    rows = [
        part.variance
        * (np.ones(part.size) if part.elements is None or part.elements.variances is None else part.elements.variances)
        for part in parts
    ]
    row = np.concatenate(rows) if rows else np.ones(1)
    mean = float(row.mean())
    uneven = mean > 0 and bool((row != row[0]).any())
    own = sum(part.size * part.lean for part in parts) / max(1, len(row))
    thinned = any(part.elements is not None and part.elements.thinned for part in parts)
    if not (bent or thinned or uneven or own != lean):
        return None
    return Elements(bent, thinned, variances=row / mean if uneven else None, lean=own)
