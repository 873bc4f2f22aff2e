"""decided_fields: a planned parameter → every field of its scheme, with its value and its origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelforge.config.origins import Origins
from modelforge.core.errors import Place
from modelforge.core.frozen import plain
from modelforge.planning.assign import ParameterPlan


@dataclass(frozen=True, slots=True)
class DecidedField:
    """One field of the scheme that fills a parameter."""

    name: str
    value: Any
    key: str
    """The init block that set it; empty where the scheme's own default stands."""
    place: Place | None
    """Where its value was written."""

    def to_dict(self) -> dict[str, Any]:
        """The field as plain data."""
        return {name: plain(getattr(self, name)) for name in DecidedField.__dataclass_fields__}


def decided_fields(parameter: ParameterPlan, origins: Origins) -> tuple[DecidedField, ...]:
    """The fields of a parameter's scheme; those that a config sets come first.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"head": {"type": "Linear", "out_features": 2, "init": {"gain": 2.0}}}
        >>> decided = plan(parse({"input": {"shape": [4]}, "layers": layers}, init={"scheme": "xavier"}))
        >>> for field in decided_fields(decided.parameter("head.weight"), decided.origins):
        ...     print(field.name, field.value, field.key or "default of the scheme")
        gain 2.0 model.layers.head.init
        mode fan_avg default of the scheme
        distribution uniform default of the scheme
        truncate 2.0 default of the scheme
    """
    rules = [rule for rule in parameter.chain if rule.verdict != "overridden"]
    values = parameter.initializer.model_dump()
    fields: list[DecidedField] = []
    for name in type(parameter.initializer).model_fields:
        rule = next((rule for rule in rules if name in rule.fields), None)
        key = rule.key if rule else ""
        place = origins.place(f"{key}.{name}") if rule and rule.place else None
        fields.append(DecidedField(name, values[name], key, place))
    return tuple(sorted(fields, key=lambda field: not field.key))


def written_place(origins: Origins, parent: str, name: str) -> Place | None:
    """Where a key was written; None where it was not, and only its parent was."""
    place, around = origins.place(f"{parent}.{name}"), origins.place(parent)
    return None if place is not None and place == around and place.override is None else place
