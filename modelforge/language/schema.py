"""schema: what may be written in a model's file, or in an init's, as JSON Schema for editors and `check-jsonschema`.

It knows every registered layer and scheme with its fields. What depends on several places at once (shapes, references,
arguments of blocks) is for `modelforge check`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from modelforge import inits
from modelforge.language import registry
from modelforge.language.init import NAMED_ROLES
from modelforge.language.layer import LayerSpec

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INIT, _LAYER, _LAYERS = ({"$ref": f"#/$defs/{name}"} for name in ("init", "layer", "layers"))
_TEMPLATE: Schema = {"type": "string", "pattern": r"\$\{.*\}"}
"""`${data.num_outputs}`, `${arg:width}`, `${calc:"2 * width"}`: a value of any type, known later."""
_REFERENCES: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


def schema(kind: str) -> Schema:
    """The JSON Schema of one kind of file.

    Args:
        kind: `model` for files of `conf/model`, `init` for those of `conf/init`.

    Raises:
        KeyError: there is no schema of that kind.

    >>> schema("model")["$defs"]["Linear"]["properties"]["out_features"]
    {'anyOf': [{'title': 'Out Features', 'type': 'integer'}, {'type': 'string', 'pattern': '\\\\$\\\\{.*\\\\}'}]}
    """
    return KINDS[kind]()


def _model() -> Schema:
    sizes = _mapping({"type": "object"}, "Values of `args` by name; `size` chooses among them.")
    block = _closed({"args": _mapping({}), "init": _INIT, "layers": _LAYERS}, "A piece with arguments.", ["layers"])
    fields = {
        "input": {"type": ["object", "string"], "description": "What comes in: `{shape, dtype}`, or several by name."},
        "args": _mapping({}, "The model's own arguments, for `${arg:name}`; `???` where `sizes` gives them."),
        "size": {"type": ["string", "number"], "description": "Which of `sizes`."},
        "sizes": sizes,
        "blocks": _mapping(block, "Reusable pieces; a layer's `type` names one."),
        "layers": _LAYERS,
        "outputs": {
            "type": ["object", "array"],
            "additionalProperties": {"type": "string"},
            "description": "What comes out, by name.",
        },
        "tie": _mapping({"type": "string"}, "Parameters that are another one: `{head.weight: embed.weight}`."),
        "init": _INIT,
        "defaults": {"type": "array", "description": "Hydra's: which data and init the model chooses."},
    }
    layers = {name: _of_layer(registry.get(name).spec) for name in registry.names()}
    definitions = {
        "layers": {**_mapping(_LAYER, "Layers by name, in execution order."), "minProperties": 1},
        "layer": _choice("type", layers, "A type of layer in short form, or a mapping with `type`."),
        **layers,
        **_init_definitions(),
    }
    return {"$schema": DIALECT, "title": "A model", **_closed(fields, "", ["layers"]), "$defs": definitions}


def _init() -> Schema:
    return {"$schema": DIALECT, "title": "How parameters start", **_INIT, "$defs": _init_definitions()}


def _of_layer(spec: type[LayerSpec]) -> Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults that JSON cannot hold are left out
        described = spec.model_json_schema()
    fields: Schema = {}
    for name, field in described["properties"].items():
        if name not in spec.made_fields | LayerSpec.own_fields:
            held = _LAYERS if name in spec.holds_layers else _LAYER if name in spec.holds_layer else None
            fields[name] = held or _or_template(field)
    own = {"inputs": _REFERENCES, "init": _INIT, "when": {"type": ["boolean", "string"]}}
    required = [name for name in described.get("required", []) if name in fields]
    return _closed({"type": {"const": spec.model_fields["type"].default}, **fields, **own}, spec.__doc__, required)


def _init_definitions() -> Schema:
    """A block names a scheme, or refines what it inherits; it is one mapping with the fields of all schemes."""
    schemes = {name: inits.get(name) for name in (*inits.names(), *inits.aliases())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fields = {name: scheme.model_json_schema().get("properties", {}) for name, scheme in schemes.items()}
    every = {field: {} for of_one in fields.values() for field in of_one}
    sections = dict.fromkeys(NAMED_ROLES, _INIT) | dict.fromkeys(("types", "params"), _mapping(_INIT))
    rows = {"type": "integer", "minimum": 1}
    sections["matrices"] = {"anyOf": [rows | {"minimum": 2}, {"type": "array", "items": rows}]}
    of_schemes = {
        f"init.{name}": _closed(
            {"scheme": {"const": name}}
            | {field: _or_template(of_one) for field, of_one in fields[name].items()}
            | sections,
            schemes[name].__doc__,
        )
        for name in schemes
    }
    block = _choice("scheme", of_schemes, "How parameters start: a scheme in short form, or a block.", "init.")
    block |= {"properties": {**every, **sections, **block["properties"]}, "required": [], "additionalProperties": False}
    return {"init": block, **of_schemes}


def _choice(key: str, options: Mapping[str, Schema], description: str, prefix: str = "") -> Schema:
    """A name of an option in short form, or a mapping whose `key` says which of them it is."""
    names = [option.removeprefix(prefix) for option in options]
    named = {"anyOf": [{"enum": names}, {"type": "string"}]}
    cases = [
        {
            "if": {"type": "object", "properties": {key: {"const": name}}, "required": [key]},
            "then": {"$ref": f"#/$defs/{option}"},
        }
        for name, option in zip(names, options, strict=True)
    ]
    full: Schema = {"type": ["string", "object"], "properties": {key: named}, "required": [key]}
    return {"description": description, **full, "allOf": [{"if": {"type": "string"}, "then": named}, *cases]}


def _or_template(field: Schema) -> Schema:
    """A field's own schema without references, or a template in its place, or in the place of what a list holds."""
    described = {key: value for key, value in field.items() if key == "description"}
    rest = {key: value for key, value in field.items() if key not in described}
    if not rest or "$ref" in str(rest):
        return described
    for key in ("anyOf", "prefixItems"):
        if key in rest:
            rest[key] = [_or_template(option) for option in rest[key]]
    if isinstance(rest.get("items"), dict):
        rest["items"] = _or_template(rest["items"])
    return {**described, "anyOf": [rest, _TEMPLATE]}


def _mapping(values: Schema, description: str = "") -> Schema:
    found: Schema = {"type": "object", "additionalProperties": values}
    return found | ({"description": description} if description else {})


def _closed(fields: Schema, text: str | None, required: Iterable[str] = ()) -> Schema:
    first = (text or "").strip().partition("\n")[0]
    found: Schema = {"type": "object", "properties": fields, "required": [*required], "additionalProperties": False}
    return found | ({"description": first} if first else {})


KINDS: Mapping[str, Callable[[], Schema]] = MappingProxyType({"model": _model, "init": _init})
"""What there are schemas of."""
