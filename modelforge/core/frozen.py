"""`Node`, `FrozenDict` and `Seed`: the one place that decides how modelforge's Pydantic models behave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NoReturn, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic_core import CoreSchema, core_schema

from modelforge.core.docstrings import field_docs

K = TypeVar("K")
V = TypeVar("V")

AsTuple = BeforeValidator(lambda raw: tuple(raw) if isinstance(raw, list) else raw)
"""YAML has lists where a frozen value has tuples."""
Seed = Annotated[int, Strict()]
"""The key of all random numbers of a model or a run: any whole number, negative ones too."""


class Node(BaseModel):
    """A strict, frozen value without extra keys; a string under a field is its documentation."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=True,
        ser_json_inf_nan="strings",
        defer_build=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Pydantic's schema, with the documentation of each field."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in field_docs(cls).items():
            if name in properties:
                properties[name].setdefault("description", text)
        return schema


def plain(value: Any) -> Any:
    """A value as JSON has it: tuples as lists, and what has a `to_dict` as that says.

    >>> plain(FrozenDict({"rows": (0, 4), "place": None}))
    {'rows': [0, 4], 'place': None}
    """
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value.to_dict() if hasattr(value, "to_dict") else value


class FrozenDict(dict[K, V]):
    """A dict that cannot be changed, but hashed, pickled and copied: a frozen model freezes only its own level."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this mapping is read-only")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = _refuse
    setdefault = update = _refuse  # pyright: ignore[reportAssignmentType]  # their overloads cannot all be refused

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]  # dict sets it to None
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (dict(self),))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A dict of the same keys and values, frozen."""
        keys, values = map(handler.generate_schema, get_args(source) or (Any, Any))
        return core_schema.no_info_after_validator_function(cls, core_schema.dict_schema(keys, values))
