"""`Layer` and `Layers`: layers inside of others, by the type that each of them names."""

from __future__ import annotations

import difflib
import keyword
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from modelforge.core.errors import Later, did_you_mean, quoted, shortened
from modelforge.core.frozen import FrozenDict
from modelforge.core.limits import MAX_NAME
from modelforge.language import registry
from modelforge.language.layer import NAME, LayerSpec

MISPLACED = frozenset({"init", "inputs", "type", "tie", "blocks", "args", "merge", "times", "shortcut"})
"""What stands beside `layers`, in a model or a container, and hardly ever names a layer."""


def _parse_layer(raw: Any) -> LayerSpec:
    if isinstance(raw, LayerSpec):
        return raw
    fields = {"type": raw} if isinstance(raw, str) else raw
    if not isinstance(fields, Mapping):
        raise PydanticCustomError(
            "MF014",
            "a layer must be a mapping or the name of a layer type, but is {raw}",
            {"raw": quoted(raw), "hint": "write `name: ReLU` or `name: {type: Linear, out_features: 10}`"},
        )
    if "type" not in fields:
        raise PydanticCustomError("MF011", "this layer has no `type`", {"hint": _type_hint(fields), "part": "key"})
    name = fields["type"]
    if not isinstance(name, str) or name not in registry.names():
        error = PydanticCustomError(
            "MF010",
            "unknown layer type `{name}`",
            {"name": shortened(str(name)), "hint": Later(lambda: registry.explain_absence(str(name)))},
        )
        raise ValidationError.from_exception_data(
            "layer", [InitErrorDetails(type=error, loc=() if isinstance(raw, str) else ("type",), input=name)]
        )
    return registry.get(name).spec.model_validate(dict(fields))


def _type_hint(fields: Mapping[Any, Any]) -> str:
    """How a layer without a `type` gets one."""
    if "_target_" in fields:
        name = str(fields["_target_"]).rpartition(".")[2]
        meant = f"`type: {name}`" if name in registry.names() else "`type: ...`, the name of a registered layer"
        return f"`_target_` is Hydra's and names code, which no config does here: write {meant}"
    near = [str(key) for key in fields if difflib.get_close_matches(str(key), ["type"], cutoff=0.7)]
    return f"did you mean `type` where it says `{near[0]}`?" if near else "add `type: ...`"


Layer = Annotated[SerializeAsAny[LayerSpec], BeforeValidator(_parse_layer)]
"""A layer where YAML has one: `{type: Linear, out_features: 10}`, or `ReLU` in short."""


def _check_names(raw: Any) -> Any:
    if not isinstance(raw, Mapping):
        raise PydanticCustomError(
            "MF014",
            "layers must be a mapping from name to layer, but is {raw}",
            {"raw": quoted(raw), "hint": "write `name: {type: ...}`, one entry a layer, in execution order"},
        )
    if not raw:
        raise PydanticCustomError("MF014", "there is no layer", {"hint": "write `name: {type: ...}`"})
    layers = {str(name): layer for name, layer in raw.items()}
    if len(layers) < len(raw):
        raise PydanticCustomError("MF016", 'two layers have the same name: `1` and `"1"` are one', {"part": "key"})
    bad = [
        InitErrorDetails(
            type=PydanticCustomError("MF016", "{reason}", {"reason": reason, "hint": hint, "part": "key"}),
            loc=(name,),
            input=name,
        )
        for name, layer in layers.items()
        for reason, hint in (_misplaced(name, layer) or (unusable(name), ""),)
        if reason
    ]
    if bad:
        raise ValidationError.from_exception_data("layers", bad)
    return layers


def _misplaced(name: str, layer: Any) -> tuple[str, str] | None:
    """Message and hint for a key of the model, or of a container, that stands among its layers."""
    if name not in MISPLACED or (isinstance(layer, Mapping) and "type" in layer):
        return None
    if isinstance(layer, str) and layer in registry.names():
        return None
    return f"`{name}` stands among the layers, where it would be a layer", "move it out: it belongs beside `layers`"


def unusable(name: str) -> str:
    """Why a layer cannot have this name; empty where it can."""
    if len(name) > MAX_NAME:
        return f"a layer's name has at most {MAX_NAME} characters, and this has {len(name):,}"
    if not NAME.fullmatch(name):
        return f"`{name}` cannot name a layer: use letters, digits and underscores, and begin with a letter"
    if keyword.iskeyword(name):
        return f"`{name}` cannot name a layer: it is a word of Python's, and `model.{name}` would be no attribute"
    if name == "input":
        return "`input` names what comes in; call the layer something else"
    if name in registry.reserved_names():
        return f"`{name}` cannot name a layer: modules have an attribute of that name already"
    return ""


Layers = Annotated[dict[str, Layer], BeforeValidator(_check_names), AfterValidator(FrozenDict)]
"""Layers by name, in execution order."""


def unknown_argument(type_name: str, argument: str) -> tuple[str, str]:
    """Message and hint for an argument that a layer type does not have."""
    layer = registry.get(type_name)
    message = f"{type_name} has no argument `{argument}`"
    if argument in layer.fixed:
        return message, f"it is always {str(layer.fixed[argument]).lower()} here"
    if argument in layer.without:
        return message, layer.without[argument]
    fields = set(layer.spec.model_fields) - {"type"}
    fields -= layer.spec.made_fields
    if known := registry.argument_elsewhere(argument, frozenset(fields)):
        return message, known
    near, own = did_you_mean(argument, fields), fields - LayerSpec.own_fields
    if near.startswith("did you mean"):
        return message, near
    return message, did_you_mean(argument, own) if own else "it takes none"
