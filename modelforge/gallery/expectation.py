"""`Expectation`: a quantity of a claim, and the numbers that confirm the claim."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainValidator, PositiveFloat, SerializeAsAny, model_validator

from modelforge.core.complaints import wrong
from modelforge.core.frozen import Node
from modelforge.gallery.quantity import CODE, Quantity, parse_quantity


def _said(text: str) -> str:
    if not text.strip():
        raise wrong(CODE, "must say something, but is empty")
    return text


Text = Annotated[str, AfterValidator(_said)]
"""Words for a reader."""


class Expectation(Node):
    """A quantity, and the numbers that confirm the claim. Every seed must give one of them."""

    quantity: Annotated[SerializeAsAny[Quantity], PlainValidator(parse_quantity)]
    """What is measured."""
    of: str
    """The variant."""
    over: str | None = None
    """Another variant, by whose number that of the first is divided."""
    expected: float | None = None
    """The number that is claimed."""
    tolerance: PositiveFloat | None = None
    """By how much the measured number may differ from it."""
    factor: Annotated[float, Field(gt=1)] | None = None
    """By which factor the measured number may differ from it, either way."""
    spreads: PositiveFloat | None = None
    """By how many predicted standard deviations the logarithm of the measured number may differ."""
    at_least: float | None = None
    """The lowest number that confirms the claim."""
    at_most: float | None = None
    """The highest number that confirms the claim."""
    reason: Text
    """Why these numbers."""

    @model_validator(mode="after")
    def _check_numbers(self) -> Self:
        widths = [self.tolerance, self.factor, self.spreads]
        number = sum(width is not None for width in widths)
        bounded = self.at_least is not None or self.at_most is not None
        if self.expected is None and not bounded:
            raise wrong(CODE, "an expectation needs numbers", "add `expected: ...`, `at_least: ...` or `at_most: ...`")
        if self.expected is not None and bounded:
            raise wrong(CODE, "`expected` excludes `at_least` and `at_most`", "leave one of them out")
        if number != (self.expected is not None):
            message = f"`expected` needs one of `tolerance`, `factor` and `spreads`, but has {number or 'none'}"
            if self.expected is None:
                message = "`tolerance`, `factor` and `spreads` need `expected`"
            raise wrong(CODE, message)
        return self

    def bounds(self, spread: float | None = None) -> tuple[float, float]:
        """The lowest and the highest number that confirm the claim.

        Args:
            spread: Predicted std of the number's logarithm; None where it is not predicted.

        Example:
            >>> Expectation(quantity="result", of="he", expected=2.0, factor=2.0, reason="by hand").bounds()
            (1.0, 4.0)
        """
        if self.expected is None:
            low = -math.inf if self.at_least is None else self.at_least
            return low, math.inf if self.at_most is None else self.at_most
        if self.tolerance is not None:
            return self.expected - self.tolerance, self.expected + self.tolerance
        factor = self.factor if self.factor is not None else math.exp((self.spreads or 0) * (spread or 0))
        ends = self.expected / factor, self.expected * factor
        return min(ends), max(ends)

    @property
    def words(self) -> str:
        """The quantity and its variants in words."""
        return f"{self.quantity.words} ({self.of}" + (f" / {self.over})" if self.over is not None else ")")

    @property
    def due(self) -> str:
        """The numbers that confirm the claim, in words.

        Example:
            >>> Expectation(quantity="result", of="he", at_least=0.9, reason="chance is 0.1").due
            '≥ 0.9'
        """
        if self.expected is None:
            bounds = [("≥", self.at_least), ("≤", self.at_most)]
            return " and ".join(f"{sign} {bound:.4g}" for sign, bound in bounds if bound is not None)
        about = f"{self.expected:.4g}"
        if self.tolerance is not None:
            return f"{about} ± {self.tolerance:.3g}"
        return (
            f"{about} ×÷ {self.factor:.4g}" if self.factor is not None else f"{about} within {self.spreads:g} spreads"
        )
