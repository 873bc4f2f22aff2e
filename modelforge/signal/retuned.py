"""A parameter with another std: the field of its scheme that says so, and what is planned then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelforge.core.errors import Refusal
from modelforge.inits import registry
from modelforge.inits.base import Initializer
from modelforge.planning.assign import ParameterPlan, moments

FIELDS = ("gain", "std", "value")
"""Fields of schemes that a std goes by, or, of constants, the value itself."""
DIGITS = 5
REPLACEMENT = {"scheme": "lecun"}
"""The scheme in place of one that has no such field: Var w = gain² / fan_in."""
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Retuned:
    """What one parameter was and is, and the fields of an init block that make the difference."""

    before: ParameterPlan
    after: ParameterPlan
    fields: Mapping[str, Any]


def retuned(parameter: ParameterPlan, size: float, digits: int | None = None) -> Retuned | None:
    """The parameter with √(E w²) = `size`; None where no scheme reaches that.

    Args:
        parameter: As it is planned.
        size: The root mean square of its values.
        digits: Significant digits of the number that is written; None for all.
    """
    for base in ({}, REPLACEMENT):
        scheme = base.get("scheme", parameter.scheme)
        given = {} if base else _given(parameter.initializer)
        for name in FIELDS:
            fields = registry.get(scheme).model_fields
            if name in fields and (found := _reached(parameter, scheme, given, name, size, digits)):
                after, number = found
                return Retuned(parameter, after, {**base, name: number})
    return None


def root_mean_square(parameter: ParameterPlan) -> float | None:
    """√(E w²); None where the scheme promises none."""
    mean, std = parameter.mean, parameter.std
    return None if mean is None or std is None else (mean**2 + std**2) ** 0.5


def _given(initializer: Initializer) -> dict[str, Any]:
    return {name: getattr(initializer, name) for name in initializer.model_fields_set}


def _reached(
    parameter: ParameterPlan, scheme: str, given: Mapping[str, Any], name: str, size: float, digits: int | None
) -> tuple[ParameterPlan, float] | None:
    """The parameter by a number in a field, found by what the number 1 makes of it; and the number."""
    unit = _planned(parameter, scheme, {**given, name: 1.0})
    reached = unit and root_mean_square(unit)
    if not reached:
        return None
    number = size / reached if digits is None else float(f"{size / reached:.{digits}g}")
    planned = _planned(parameter, scheme, {**given, name: number})
    made = planned and root_mean_square(planned)
    return (planned, number) if planned and made and abs(made / size - 1) < TOLERANCE else None


def _planned(parameter: ParameterPlan, scheme: str, fields: Mapping[str, Any]) -> ParameterPlan | None:
    try:
        initializer = registry.create({"scheme": scheme, **fields})
        fills = tuple(
            (matrix, fill if matrix.fixed is not None else initializer.resolve(matrix))
            for matrix, fill in parameter.fills
        )
    except (Refusal, ValueError):
        return None
    mean, std = moments(fills)
    return replace(parameter, initializer=initializer, fills=fills, mean=mean, std=std)
