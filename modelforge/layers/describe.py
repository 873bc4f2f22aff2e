"""What there is to know about a layer, as plain data: taken from its docstring and its schema."""

from __future__ import annotations

from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from modelforge.core.docstrings import field_docs
from modelforge.language import registry
from modelforge.language.layer import LayerSpec
from modelforge.language.registry import LayerType

COMMON = frozenset(LayerSpec.model_fields)
"""What every layer may say: `type`, `inputs`, `init`."""


def describe(name: str) -> dict[str, Any]:
    """Summary, what comes in, and arguments of a layer.

    >>> linear = describe("Linear")
    >>> linear["reads"], [(field["name"], field["inferred"]) for field in linear["fields"]]
    (['(..., features)'], [('in_features', True), ('out_features', False), ('bias', False)])

    Raises:
        KeyError: no layer has this name.
    """
    layer = registry.get(name)
    hidden = COMMON | layer.spec.made_fields
    return {
        "name": layer.name,
        "kind": layer.kind,
        "summary": " ".join((layer.spec.__doc__ or "").split()),
        "reads": [_axes(option) for option in layer.axes],
        "fields": [_field(layer, key, info) for key, info in layer.spec.model_fields.items() if key not in hidden],
        "without": {key: reason for key, reason in layer.without.items() if key not in ("device", "dtype")},
        "fixed": dict(layer.fixed),
    }


def _axes(option: tuple[str, ...]) -> str:
    return f"({option[0]},)" if len(option) == 1 and option != ("...",) else f"({', '.join(option)})"


def _field(layer: LayerType, name: str, info: FieldInfo) -> dict[str, Any]:
    inferred = name in layer.infer
    words = _words(info.annotation)
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    return {
        "name": name,
        "type": words.removesuffix(" | null") if inferred else words,
        "required": info.is_required(),
        "inferred": inferred,
        "default": default.type if isinstance(default, LayerSpec) else default,
        "doc": field_docs(layer.spec).get(name, ""),
    }


def _words(annotation: Any) -> str:
    """An annotation in a few words: `int | list of 2 int`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(arguments[0])
    if annotation is LayerSpec:
        return "layer"
    if origin is dict:
        return f"{_words(arguments[1])}s by name"
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (tuple, list):
        size = "" if origin is list or arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"list of {size}{_words(arguments[0])}"
    if arguments:
        return " | ".join(dict.fromkeys(map(_words, arguments)))
    return {NoneType: "null", str: "string"}.get(annotation, getattr(annotation, "__name__", str(annotation)))
