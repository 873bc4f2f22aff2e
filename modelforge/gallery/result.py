"""`Result`: what was measured of a claim, against what it says; as plain data and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from modelforge.gallery.claim import Claim
from modelforge.gallery.expectation import Expectation
from modelforge.gallery.profile import Curve, Profile
from modelforge.gallery.quantity import Reading, quotient
from modelforge.signal.nodes import finite


@dataclass(frozen=True)
class Verdict:
    """The numbers of one expectation, one for each seed."""

    expectation: Expectation
    readings: tuple[Reading, ...]

    @property
    def ok(self) -> bool:
        """Whether every seed confirms the claim."""
        low, high = self.bounds
        return all(low <= value <= high for value in self.values)

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest number that confirm the claim, by the least spread of all seeds."""
        return self.expectation.bounds(min((reading.spread or 0.0 for reading in self.readings), default=None))

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers."""
        return tuple(reading.value for reading in self.readings)

    @property
    def measured(self) -> str:
        """The median of the numbers, and the lowest and the highest where they differ, in words; NaN if one is that."""
        if any(map(math.isnan, self.values)):
            return f"{math.nan}"
        low, middle, high = (f"{value:.4g}" for value in (min(self.values), median(self.values), max(self.values)))
        return middle if low == high else f"{middle} ({low} to {high})"

    @property
    def due(self) -> str:
        """The numbers that confirm the claim, in words."""
        if self.expectation.spreads is None:
            return self.expectation.due
        low, high = self.bounds
        return f"{self.expectation.expected:.4g} ({low:.3g} to {high:.3g})"

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain data."""
        expectation = self.expectation
        return {
            "quantity": expectation.quantity.model_dump(),
            "of": expectation.of,
            "over": expectation.over,
            "words": expectation.words,
            "due": self.due,
            "bounds": finite([*self.bounds]),
            "reason": expectation.reason,
            "values": finite([*self.values]),
            "ok": self.ok,
        }


@dataclass(frozen=True)
class Picture:
    """The curves of one profile: by variant, one for each seed."""

    profile: Profile
    curves: Mapping[str, tuple[Curve, ...]]

    def to_dict(self) -> dict[str, Any]:
        """The picture as plain data."""
        curves = {name: [{"x": [*c.x], "y": finite([*c.y])} for c in drawn] for name, drawn in self.curves.items()}
        return {"title": self.profile.title, "log": self.profile.log, "curves": curves}


@dataclass(frozen=True)
class Result:
    """What was measured of one claim."""

    name: str
    claim: Claim
    seeds: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    pictures: tuple[Picture, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every number holds."""
        return all(verdict.ok for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "name": self.name,
            "question": self.claim.question,
            "says": self.claim.says,
            "source": self.claim.source,
            "variants": {name: variant.model_dump() for name, variant in self.claim.variants.items()},
            "seeds": [*self.seeds],
            "ok": self.ok,
            "seconds": round(self.seconds, 2),
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "pictures": [picture.to_dict() for picture in self.pictures],
        }


def ratio(numerator: Reading, denominator: Reading) -> Reading:
    """One reading divided by another.

    >>> ratio(Reading(6.0, 0.3), Reading(2.0, 0.4))
    Reading(value=3.0, spread=0.5)
    """
    spreads = (numerator.spread, denominator.spread)
    spread = None if None in spreads else math.hypot(*(one or 0.0 for one in spreads))
    return Reading(quotient(numerator.value, denominator.value), spread)
