"""joined: how examples of a sum differ, where each example has some of its parts by chance (stochastic depth)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import log, prod, sqrt

import numpy as np

from modelforge.signal.scatter import (
    MASSES,
    POINTS,
    GradientScatter,
    Scatter,
    correlation_of,
    covariance,
    mixture,
    variance,
)

MOST_DOUBTFUL = 3
"""Parts that an example may lack, of each of which there is one way more to make a sum."""
ABOVE_ZERO = 1e-12


@dataclass(frozen=True, slots=True)
class Way:
    """Some of the parts, all that an example has."""

    chance: float
    parts: tuple[int, ...]
    numbers: np.ndarray
    """The normal number of the sum for that of its parts, at `POINTS`."""
    shares: np.ndarray
    """The share of each part in the energy, a mean over examples; 0 for those that are not there."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The energies of the examples of a sum, and how they come about."""

    made: Scatter
    ways: tuple[Way, ...]

    def back(self, gradient: GradientScatter, part: int) -> GradientScatter:
        """How gradients of a part differ, of those examples that have it."""
        ways = [way for way in self.ways if part in way.parts]
        chances = np.array([way.chance for way in ways]) / sum(way.chance for way in ways)
        rows = [np.stack([np.interp(way.numbers, POINTS, row) for row in gradient.logs.T], axis=-1) for way in ways]
        logs = rows[0] if len(rows) == 1 else mixture(np.stack(rows, axis=1), chances)
        turned = [1 + way.shares[part] * (np.interp(way.numbers, POINTS, gradient.radial) - 1) for way in ways]
        return replace(gradient, logs=logs, radial=chances @ np.stack(turned))


def summed_back(parts: Sequence[tuple[float, GradientScatter]]) -> GradientScatter:
    """How sums of gradients of the same examples differ, of which an example may lack some by chance.

    Args:
        parts: The share of each in the energy, and how its examples differ.
    """
    laws: list[np.ndarray] = []
    chances: list[float] = []
    for lacking in product(*((False, True) if part.present < 1 else (False,) for _, part in parts)):
        there = [
            log(max(share, ABOVE_ZERO)) + part.logs
            for (share, part), lacks in zip(parts, lacking, strict=True)
            if not lacks
        ]
        if there:
            laws.append(np.logaddexp.reduce(there))
            chances.append(
                prod(
                    1 - part.present if lacks else part.present for (_, part), lacks in zip(parts, lacking, strict=True)
                )
            )
    present = sum(chances)
    return GradientScatter(
        laws[0] if len(laws) == 1 else mixture(np.stack(laws, axis=1), np.array(chances) / present),
        sum(share * sqrt(part.shared) for share, part in parts) ** 2,
        np.sum([share * part.radial for share, part in parts], axis=0),
        sum(share**2 * part.noise for share, part in parts),
        sum(share**2 * part.shared_noise for share, part in parts),
        present=min(1.0, present),
    )


def joined(parts: Sequence[tuple[float, Scatter]]) -> Joined | None:
    """How examples of a sum differ; None where there are too many parts that they may lack.

    The parts of an example have one normal number: where one is large, so are those that are made of it.

    Args:
        parts: The share of each in the energy of the sum, and how its examples differ.
    """
    doubtful = [index for index, (_, scatter) in enumerate(parts) if scatter.present < 1]
    if len(doubtful) > MOST_DOUBTFUL:
        return None
    laws: list[np.ndarray] = []
    ways: list[Way] = []
    for lacking in product((False, True), repeat=len(doubtful)):
        lacks = dict(zip(doubtful, lacking, strict=True))
        there = tuple(index for index, (share, _) in enumerate(parts) if share > 0 and not lacks.get(index))
        odds = [(parts[index][1].present, missing) for index, missing in lacks.items()]
        chance = prod(1 - here if missing else here for here, missing in odds)
        if there:
            energies = [log(parts[index][0]) + parts[index][1].logs for index in there]
            laws.append(np.logaddexp.reduce(energies))
            means = {index: float(MASSES @ np.exp(one - laws[-1])) for index, one in zip(there, energies, strict=True)}
            ways.append(Way(chance, there, POINTS, np.array([means.get(index, 0.0) for index in range(len(parts))])))
    if not ways:
        return None
    present = sum(way.chance for way in ways)
    chances = np.array([way.chance for way in ways]) / present
    logs = laws[0] if len(laws) == 1 else mixture(np.stack(laws), chances)
    logs = logs + log(chances @ np.exp(np.stack(laws)) @ MASSES / (MASSES @ np.exp(logs)))
    weights = [share**2 * variance(scatter.logs) + ABOVE_ZERO for share, scatter in parts]
    correlated = sum(weight * scatter.correlation for weight, (_, scatter) in zip(weights, parts, strict=True))
    alike = correlated / sum(weights)
    made = Scatter(
        logs,
        correlation_of(logs, covariance(chances @ np.stack(laws), float(alike))),
        sum(share**2 * scatter.noise for share, scatter in parts),
        sum(share**2 * scatter.shared for share, scatter in parts),
        present=min(1.0, present),
        lacking=True,
    )
    found = [replace(way, numbers=np.interp(law, logs, POINTS)) for way, law in zip(ways, laws, strict=True)]
    return Joined(made, tuple(found))
