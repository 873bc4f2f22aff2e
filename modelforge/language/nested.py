"""`Layer` and `Layers`: layers inside of others, by the type that each of them names."""

from __future__ import annotations

import difflib
import keyword
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SerializeAsAny

from modelforge.core.complaints import LazyHint, all_wrong, wrong
from modelforge.core.frozen import FrozenDict
from modelforge.core.limits import MAX_NAME
from modelforge.core.paths import last
from modelforge.core.quoting import quoted, shortened
from modelforge.core.suggestions import did_you_mean, nearest
from modelforge.language import registry
from modelforge.language.layer import NAME, LayerSpec

MISPLACED = frozenset({"init", "inputs", "type", "tie", "blocks", "args", "merge", "times", "shortcut"})
"""What stands beside `layers`, in a model or a container, and hardly ever names a layer."""


def _parse_layer(raw: Any) -> LayerSpec:
    if isinstance(raw, LayerSpec):
        return raw
    fields = {"type": raw} if isinstance(raw, str) else raw
    if not isinstance(fields, Mapping):
        hint = "write `name: ReLU` or `name: {type: Linear, out_features: 10}`"
        raise wrong("MF014", f"a layer must be a mapping or the name of a layer type, but is {quoted(raw)}", hint)
    if "type" not in fields:
        raise wrong("MF011", "this layer has no `type`", _type_hint(fields), part="key")
    name = fields["type"]
    if not isinstance(name, str) or name not in registry.names():
        hint = LazyHint(lambda: registry.explain_absence(str(name)))
        error = wrong("MF010", f"unknown layer type `{shortened(str(name))}`", hint)
        raise all_wrong([(() if isinstance(raw, str) else ("type",), error)])
    return registry.get(name).spec.model_validate(dict(fields))


def _type_hint(fields: Mapping[Any, Any]) -> str:
    """How a layer without a `type` gets one."""
    if "_target_" in fields:
        name = last(str(fields["_target_"]))
        meant = f"`type: {name}`" if name in registry.names() else "`type: ...`, the name of a registered layer"
        return f"`_target_` names code, and a config cannot name code here: write {meant}"
    near = [str(key) for key in fields if difflib.get_close_matches(str(key), ["type"], cutoff=0.7)]
    return f"did you mean `type` where it says `{near[0]}`?" if near else "add `type: ...`"


Layer = Annotated[SerializeAsAny[LayerSpec], BeforeValidator(_parse_layer)]
"""A layer where YAML has one: `{type: Linear, out_features: 10}`, or `ReLU` in short."""


def _check_names(raw: Any) -> Any:
    if not isinstance(raw, Mapping):
        hint = "write one `name: {type: ...}` for each layer, in execution order"
        raise wrong("MF014", f"layers must be a mapping from name to layer, but is {quoted(raw)}", hint)
    if not raw:
        raise wrong("MF014", "`layers` is empty", "write `name: {type: ...}`")
    layers = {str(name): layer for name, layer in raw.items()}
    if len(layers) < len(raw):
        raise wrong("MF016", 'two layers have the same name: `1` and `"1"` are one', part="key")
    reasons = {name: _misplaced(name, layer) or (unusable(name), "") for name, layer in layers.items()}
    if bad := {name: reason for name, reason in reasons.items() if reason[0]}:
        raise all_wrong(((name,), wrong("MF016", *reason, part="key")) for name, reason in bad.items())
    return layers


def _misplaced(name: str, layer: Any) -> tuple[str, str] | None:
    """Message and hint for a key of the model, or of a container, that stands among its layers."""
    if name not in MISPLACED or (isinstance(layer, Mapping) and "type" in layer):
        return None
    if isinstance(layer, str) and layer in registry.names():
        return None
    return f"`{name}` is among the layers, so it is read as a layer", "move it one level up, beside `layers`"


def unusable(name: str) -> str:
    """Why a layer cannot have this name; empty where it can."""
    if len(name) > MAX_NAME:
        return f"a layer's name has at most {MAX_NAME} characters, and this has {len(name):,}"
    if not NAME.fullmatch(name):
        return f"`{name}` cannot name a layer: use letters, digits and underscores, and begin with a letter"
    if keyword.iskeyword(name):
        return f"`{name}` cannot name a layer: it is a Python keyword, so `model.{name}` would be a syntax error"
    if name == "input":
        return "`input` cannot name a layer: layers refer to their input by this name"
    if name in registry.reserved_names():
        return f"`{name}` cannot name a layer: nn.Module has an attribute with this name"
    return ""


Layers = Annotated[dict[str, Layer], BeforeValidator(_check_names), AfterValidator(FrozenDict)]
"""Layers by name, in execution order."""


def explain_absent_argument(type_name: str, argument: str) -> str:
    """Why a layer type does not have an argument, or which one was meant."""
    layer = registry.get(type_name)
    if argument in layer.fixed:
        return f"it is always {str(layer.fixed[argument]).lower()} here"
    if argument in layer.without:
        return layer.without[argument]
    fields = set(layer.spec.model_fields) - {"type"} - layer.spec.made_fields
    if known := registry.argument_elsewhere(argument, frozenset(fields)):
        return known
    own = fields - LayerSpec.own_fields
    return nearest(argument, fields) or (did_you_mean(argument, own) if own else "it takes none")
