"""schema: what may be written in a model's file, or in an init's, as JSON Schema for editors and `check-jsonschema`.

It knows every registered layer and scheme with its fields. What depends on several places at once (shapes, references,
arguments of blocks) is for `modelforge check`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from modelforge import inits
from modelforge.core.json_schema import (
    DIALECT,
    OPEN,
    TEMPLATE,
    Schema,
    choice,
    closed,
    mapping,
    of_model,
    open_field,
    or_template,
    section,
)
from modelforge.core.limits import MAX_NAME
from modelforge.inits.schemes.undrawn import Pretrained
from modelforge.language import registry
from modelforge.language.init import NAMED_ROLES
from modelforge.language.layer import NAME, LayerSpec
from modelforge.language.lint import CODE
from modelforge.language.model import TensorSpec

_INIT, _LAYER, _LAYERS = ({"$ref": f"#/$defs/{name}"} for name in ("init", "layer", "layers"))
DEFAULTS: Schema = {
    "type": "array",
    "items": {"type": ["string", "object"]},
    "description": "Hydra's: other files that this one is made of, or chooses.",
}
NAMES: Schema = {"pattern": rf"^({NAME.pattern})$", "maxLength": MAX_NAME}
WORD: Schema = {"type": "string"}
"""A block of the model, or a layer of one's own."""
_NOTHING: Schema = {"type": "null"}
_REFERENCES: Schema = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}, _NOTHING]
}

_IGNORED: Schema = {
    **mapping({"anyOf": [WORD, mapping(WORD, "Reasons by glob over the paths of layers and parameters.")]}, ""),
    "description": "Reasons by code, or by code and glob: `{MW101: {head.*: why it is meant}}`.",
    "propertyNames": {"pattern": f"^{CODE}$"},
}


def schema(kind: str) -> Schema:
    """The JSON Schema of one kind of file.

    Args:
        kind: `model` for files of `conf/model`, `init` for those of `conf/init`.

    Raises:
        KeyError: there is no schema of that kind.

    >>> schema("model")["$defs"]["Linear"]["properties"]["out_features"]["anyOf"][0]
    {'minimum': 0, 'title': 'Out Features', 'type': 'integer'}
    """
    return KINDS[kind]()


def _optional(schema: Schema) -> Schema:
    """The same, or null: as if the key were not there."""
    return {"if": _NOTHING, "else": schema}  # unlike `anyOf`, it leaves a mistake at its place


def _or_interpolated(schema: Schema) -> Schema:
    """The same, or a template that stands for all of it."""
    about = {key: value for key, value in schema.items() if key == "description"}
    return {**about, "if": TEMPLATE, "else": schema}


def _model() -> Schema:
    sizes = mapping({"type": "object"}, "Values of `args` by name; `size` chooses among them.")
    block = closed(
        {"args": _optional(mapping({})), "init": _optional(_INIT), "layers": _LAYERS},
        "A piece with arguments.",
        ["layers"],
    )
    fields = {
        "input": {
            "anyOf": [section(TensorSpec), {**mapping(section(TensorSpec)), "propertyNames": NAMES}, TEMPLATE, OPEN],
            "description": "What comes in: `{shape, dtype}`, or several by name.",
        },
        "args": _optional(mapping({}, "The model's own arguments, for `${arg:name}`; `???` where `sizes` gives them.")),
        "size": {"type": ["string", "number", "null"], "description": "Which of `sizes`."},
        "sizes": _optional(sizes),
        "blocks": mapping(block, "Reusable pieces; a layer's `type` names one."),
        "layers": _LAYERS,
        "outputs": {
            "type": ["object", "array", "null"],
            "additionalProperties": {"type": "string"},
            "description": "What comes out, by name.",
        },
        "tie": mapping({"type": "string"}, "Parameters that are another one: `{head.weight: embed.weight}`."),
        "init": _optional(_INIT),
        "lint": _optional(closed({"ignore": _IGNORED}, "Findings of `modelforge lint` that are meant.")),
        "defaults": DEFAULTS,
    }
    layers = {name: _of_layer(registry.get(name).spec) for name in registry.names()}
    definitions = {
        "layers": _or_interpolated(
            {
                **mapping(_LAYER, "Layers by name, in execution order."),
                "propertyNames": NAMES,
                "minProperties": 1,
            }
        ),
        "layer": choice("type", layers, "A type of layer in short form, or a mapping with `type`.", others=WORD),
        **layers,
        **_init_definitions(),
    }
    fields = {
        name: field if name in ("input", "init", "layers") else _or_interpolated(field)
        for name, field in fields.items()
    }
    # An argument may stand beside `args`, whatever its value, or where a file that this one is made of has `args`.
    known, others = dict.fromkeys(fields, True), {"type": ["number", "string", "boolean"]}
    without_args: Schema = {"properties": known, "additionalProperties": others}
    model = closed(fields, "") | {"additionalProperties": True}
    model |= {"if": {"not": {"required": ["args"]}}, "then": without_args}
    # A file that is made of others may leave both to them.
    model |= {"anyOf": [{"required": ["input", "layers"]}, {"required": ["defaults"]}]}
    return {"$schema": DIALECT, "title": "A model", **model, "$defs": definitions}


def _init() -> Schema:
    return {"$schema": DIALECT, "title": "How parameters start", **_INIT, "$defs": _init_definitions()}


def _weights() -> Schema:
    described = of_model(Pretrained)["properties"]
    fields = {name: open_field(field) for name, field in described.items() if name != "scheme"}
    skip: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    skip |= {"description": "Globs for parameters that start by their init blocks."}
    own = {"skip": skip, "defaults": DEFAULTS}
    return {"$schema": DIALECT, "title": "Weights from a file", **closed({**fields, **own}, Pretrained.__doc__)}


def _of_layer(spec: type[LayerSpec]) -> Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults that JSON cannot hold are left out
        described = spec.model_json_schema()
    fields: Schema = {}
    for name, field in described["properties"].items():
        if name not in spec.made_fields | LayerSpec.own_fields:
            held = _LAYERS if name in spec.holds_layers else _LAYER if name in spec.holds_layer else None
            optional = held is not None and _NOTHING in field.get("anyOf", ())
            fields[name] = _optional(held) if held and optional else held or or_template(field)
    own = {"inputs": _REFERENCES, "init": _optional(_INIT), "when": {"anyOf": [{"type": "boolean"}, TEMPLATE]}}
    required = [name for name in described.get("required", []) if name in fields]
    return closed({"type": {"const": spec.model_fields["type"].default}, **fields, **own}, spec.__doc__, required)


def _init_definitions() -> Schema:
    """A block names a scheme, or refines what it inherits; it is one mapping with the fields of all schemes."""
    schemes = {name: inits.get(name) for name in (*inits.names(), *inits.aliases())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fields = {name: scheme.model_json_schema().get("properties", {}) for name, scheme in schemes.items()}
    names = dict.fromkeys(field for of_one in fields.values() for field in of_one)
    every = {field: _any_of([of_one[field] for of_one in fields.values() if field in of_one]) for field in names}
    sections = dict.fromkeys(NAMED_ROLES, _INIT) | dict.fromkeys(("types", "params"), mapping(_INIT))
    rows = {"type": "integer", "minimum": 1}
    sections["matrices"] = {"anyOf": [rows | {"minimum": 2}, {"type": "array", "items": rows}]}
    of_schemes = {
        f"init.{name}": closed(
            {"scheme": {"const": name}}
            | {field: or_template(of_one) for field, of_one in fields[name].items()}
            | sections,
            schemes[name].__doc__,
            [field for field, described in schemes[name].model_fields.items() if described.is_required()],
        )
        for name in schemes
    }
    block = choice("scheme", of_schemes, "How parameters start: a scheme in short form, or a block.", prefix="init.")
    block["properties"]["scheme"] = _optional(block["properties"]["scheme"])
    block |= {"properties": {**every, **sections, **block["properties"]}, "required": [], "additionalProperties": False}
    return {"init": block, **of_schemes}


def _any_of(described: Sequence[Schema]) -> Schema:
    """What one of several schemes takes for a field: the scheme is known where the block that is refined is."""
    each = [or_template({key: one[key] for key in one if key not in ("description", "default")}) for one in described]
    unlike = [one for place, one in enumerate(each) if one not in each[:place]]
    return unlike[0] if len(unlike) == 1 else {"anyOf": unlike}


KINDS: Mapping[str, Callable[[], Schema]] = MappingProxyType({"model": _model, "init": _init, "weights": _weights})
"""What there are schemas of."""
