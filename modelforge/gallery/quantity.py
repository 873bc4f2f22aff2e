"""`Quantity`: a number that is measured of a subject. A class in a file of `quantities/` adds one."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from modelforge.core.complaints import all_wrong, wrong
from modelforge.core.frozen import Node
from modelforge.core.quoting import quoted, shortened
from modelforge.core.registry import Registry
from modelforge.gallery.subject import Subject

CODE = "MF170"
"""Of a claim that is not as it must be."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured."""

    value: float
    spread: float | None = None
    """Predicted std of its logarithm over draws; None where it is not predicted."""


def quotient(numerator: float, denominator: float) -> float:
    """One number divided by another; NaN, which confirms no claim, where that is zero."""
    return numerator / denominator if denominator else math.nan


def quotient_of_logs(numerator: float, denominator: float, steps: int = 1) -> float:
    """One number divided by another, of each the logarithm, and of that a root; NaN where the denominator is zero.

    Example:
        >>> quotient_of_logs(0.0, 0.0, 2), quotient_of_logs(2e3, 0.0)
        (1.0, inf)
    """
    power = (numerator - denominator) / steps
    if denominator == -math.inf or math.isnan(power):
        return math.nan
    return math.exp(power) if power < math.log(sys.float_info.max) else math.inf


class Quantity(Node, ABC):
    """A number of one variant with one seed. The fields of a subclass are its settings in a claim."""

    type: str = ""
    """The name of the quantity."""

    @abstractmethod
    def measure(self, subject: Subject) -> Reading:
        """The number of a subject.

        Raises:
            ForgeError: the subject has no such number.
        """

    @property
    @abstractmethod
    def words(self) -> str:
        """The quantity in words, as tables show it."""


QUANTITIES = Registry[type[Quantity]](
    "a quantity", "modelforge.quantities", package="modelforge.gallery.quantities", base=Quantity
)
"""Every quantity by its name."""


register_quantity = QUANTITIES.register
"""Makes a class known as `quantity: {type: name}` of a claim."""


def parse_typed(registry: Registry[Any], section: Any) -> Any:
    """The entry of a registry that a mapping with `type` names, or its name alone; Pydantic calls this.

    Raises:
        ValidationError: all that is wrong with it.
    """
    noun = registry.kind
    named = section.get("type") if isinstance(section, Mapping) else section
    if not isinstance(named, str):
        message = f"must be the name of {noun}, or a mapping with a `type`, but is {quoted(section)}"
        raise wrong(CODE, message, registry.suggest(""))
    if named not in registry:
        problem = wrong(CODE, f"unknown {noun.partition(' ')[2]} `{shortened(named)}`", registry.suggest(named))
        raise all_wrong([(("type",), problem)]) if isinstance(section, Mapping) else problem
    settings = {str(key): value for key, value in section.items()} if isinstance(section, Mapping) else {"type": named}
    return registry.get(named).model_validate(settings)


parse_quantity: Callable[[Any], Quantity] = partial(parse_typed, QUANTITIES)
"""The quantity that a claim names."""
