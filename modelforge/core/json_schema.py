"""Pieces of JSON Schemas of config files: values, mappings, and choices by a key."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEMPLATE: Schema = {"type": "string", "pattern": r"\$\{.*\}"}
"""`${data.num_outputs}`, `${arg:width}`, `${calc:"2 * width"}`: a value of any type, known later."""
OPEN: Schema = {"enum": [None, "???"]}
"""A value that is to be given elsewhere, by an override for example."""


def of_model(model: type[BaseModel]) -> Schema:
    """The schema of a Pydantic model, without references."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults that JSON cannot hold are left out
        found = model.model_json_schema()
    definitions = found.pop("$defs", {})
    return _inlined(found, definitions)


def _inlined(part: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    rest = {key: _inlined(item, definitions) for key, item in part.items() if key != "$ref"}
    if "$ref" not in part:
        return rest
    return {**_inlined(definitions[part["$ref"].rpartition("/")[2]], definitions), **rest}


def section(model: type[BaseModel], *, without: Iterable[str] = ()) -> Schema:
    """A section of a config that a Pydantic model describes; what it requires may be given elsewhere."""
    described = of_model(model)
    required = described.get("required", ())
    fields = {
        name: open_field(field) if name in required else or_template(field)
        for name, field in described.get("properties", {}).items()
        if name not in {*without}
    }
    return closed(fields, model.__doc__)


def or_template(field: Schema) -> Schema:
    """A field's own schema, or a template in its place, or in the place of what a list holds."""
    described = {key: value for key, value in field.items() if key in ("description", "default", "examples")}
    rest = {key: value for key, value in field.items() if key not in described}
    if not rest or "$ref" in str(rest):
        return described
    for key in ("anyOf", "prefixItems"):
        if key in rest:
            rest[key] = [or_template(option) for option in rest[key]]
    for key in ("items", "additionalProperties"):
        if isinstance(rest.get(key), dict):
            rest[key] = or_template(rest[key])
    if "properties" in rest:
        rest["properties"] = {name: or_template(inner) for name, inner in rest["properties"].items()}
    return {**described, "anyOf": [rest, TEMPLATE]}


def open_field(field: Schema) -> Schema:
    """The same, or a value that says that it is to be given elsewhere."""
    found = or_template(field)
    return {**found, "anyOf": [*found["anyOf"], OPEN]} if "anyOf" in found else found


def mapping(values: Schema, description: str = "") -> Schema:
    """A mapping from names of one's own to values of one kind."""
    found: Schema = {"type": "object", "additionalProperties": values}
    return found | ({"description": description} if description else {})


def closed(fields: Schema, text: str | None, required: Iterable[str] = ()) -> Schema:
    """A mapping with certain keys and no others."""
    first = (text or "").strip().partition("\n")[0]
    found: Schema = {"type": "object", "properties": fields, "required": [*required], "additionalProperties": False}
    return found | ({"description": first} if first else {})


def choice(
    key: str, options: Mapping[str, Schema], description: str, *, short: bool = True, prefix: str = ""
) -> Schema:
    """A mapping whose `key` says which of the definitions it is.

    Args:
        key: `type` or `scheme`.
        options: The schema of each name, which stand in `$defs` under these names.
        description: What it is.
        short: Whether a name alone stands for a mapping with nothing else.
        prefix: What the names have in front of them in `$defs`.
    """
    names = [option.removeprefix(prefix) for option in options]
    named = {"anyOf": [{"enum": names}, {"type": "string"}]}
    cases = [
        {
            "if": {"type": "object", "properties": {key: {"const": name}}, "required": [key]},
            "then": {"$ref": f"#/$defs/{option}"},
        }
        for name, option in zip(names, options, strict=True)
    ]
    found: Schema = {"description": description, "type": "object", "properties": {key: named}, "allOf": cases}
    if not short:  # a file that is made of others may leave the choice to them
        return {**found, "anyOf": [{"required": [key]}, {"required": ["defaults"]}]}
    alone = {"if": {"type": "string"}, "then": named}
    return {**found, "type": ["string", "object"], "required": [key], "allOf": [alone, *cases]}
