"""What there is to know about a scheme, as plain data: taken from its docstring and its fields."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic.fields import FieldInfo

from modelforge.core.docstrings import field_docs
from modelforge.core.frozen import Node
from modelforge.inits.base import Initializer
from modelforge.inits.registry import aliases, get

_PART = re.compile(r"^(Formula|Source):\s*", re.MULTILINE)


def describe(name: str) -> dict[str, Any]:
    """Summary, formula, source, an init block as an example, and the fields of a scheme.

    The docstring has a summary, then a line `Formula:` and a line `Source:`; either may go on, indented, below.

    >>> describe("he")["name"], describe("he")["aliases"], describe("he")["formula"]
    ('kaiming', ['he'], 'Var w = gain² / fan_in, with gain² = 2 for a ReLU')

    Raises:
        KeyError: no scheme has this name.
    """
    cls = get(name)
    summary, *parts = _PART.split(inspect.getdoc(cls) or "")
    text = dict(zip(map(str.lower, parts[::2]), parts[1::2], strict=True))
    return {
        "name": cls.scheme,
        "aliases": [alias for alias, target in aliases().items() if target == cls.scheme],
        "summary": _unwrap(summary),
        "formula": _unwrap(text.get("formula", "")),
        "source": _unwrap(text.get("source", "")),
        "example": {"scheme": cls.scheme} | _examples(cls),
        "fields": fields(cls),
    }


def _examples(cls: type[Initializer]) -> dict[str, Any]:
    """A value for each field that has no default."""
    return {name: info.examples[0] for name, info in cls.model_fields.items() if info.examples}


def fields(cls: type[Node]) -> list[dict[str, Any]]:
    """The fields of a class that is its own declaration: name, type, default and documentation."""
    schemas = cls.model_json_schema()["properties"] if cls.model_fields else {}
    return [_field(cls, name, info, schemas[name]) for name, info in cls.model_fields.items()]


def _field(cls: type[Node], name: str, info: FieldInfo, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "type": _type(schema),
        "required": info.is_required(),
        "default": None if info.is_required() else info.default,
        "doc": _unwrap(field_docs(cls).get(name, "")),
    }


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema as a few words: `number > 0`, `qr | svd`, `auto | boolean`."""
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(option) for option in schema["anyOf"]))
    if "const" in schema:
        return str(schema["const"])
    if "pattern" in schema:
        return schema["title"]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"])) if len(schema["enum"]) <= 8 else schema["title"]
    signs = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
    bounds = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if abs(schema.get(key, 1e37)) < 1e37]
    return " ".join([schema.get("type", "any"), ", ".join(bounds)]).strip()


def _unwrap(text: str) -> str:
    return " ".join(text.split())
