"""A result as no network gave it, for the tests of what shows it."""

from __future__ import annotations

from modelforge.gallery.claim import Claim
from modelforge.gallery.expectation import Expectation
from modelforge.gallery.profile import Curve, parse_profile
from modelforge.gallery.quantity import Reading
from modelforge.gallery.result import Picture, Result, Verdict


def result(*values: float, **numbers: float) -> Result:
    asked = Expectation(quantity="result", of="a|b", reason="by hand", **(numbers or {"at_least": 0.5}))
    claim = Claim(
        question="Why √2?", says="So.", source="He 2015", variants={"a|b": {}}, expect=(asked,), pictures=("loss",)
    )
    curves = tuple(Curve((1.0, 2.0), (value, value / 2)) for value in values)
    picture = Picture(parse_profile("loss"), {"a|b": curves})
    readings = tuple(Reading(value, 0.1) for value in values)
    return Result("why", claim, (0, 1, 2), (Verdict(asked, readings),), (picture,), 1.25)
