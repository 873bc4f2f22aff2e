"""`LayerSpec`: one layer as declared. Each registered layer type has its own subclass with its arguments as fields."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, SerializeAsAny, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from modelforge.core.errors import Later, did_you_mean, quoted, shortened
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.limits import MAX_NAME
from modelforge.language import registry
from modelforge.language.init import Init
from modelforge.layers.familiar import argument_hint

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*|[0-9]+")
MISPLACED = frozenset({"init", "inputs", "type", "tie", "blocks", "args", "merge", "times", "shortcut"})
"""What stands beside `layers`, in a model or a container, and hardly ever names a layer."""
REFERENCE = re.compile(rf"({NAME.pattern})((?:\.[0-9]+)*)")


def _parse_inputs(raw: Any) -> Any:
    if raw is None:
        return None
    names = [raw] if isinstance(raw, str) else raw
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise PydanticCustomError(
            "MF014", "`inputs` must be a name or a list of names, but is {raw}", {"raw": quoted(raw)}
        )
    for name in names:
        if not REFERENCE.fullmatch(name):
            raise PydanticCustomError(
                "MF030",
                "`{name}` is not a reference to a layer",
                {"name": name, "hint": "write `name`, or `name.1` for the second output of `name`"},
            )
    return tuple(names)


class LayerSpec(Node):
    """What every layer may say; subclasses add the arguments of their type."""

    type: str
    """Name of a registered layer: a torch.nn class, a combinator, or one of your own."""
    inputs: Annotated[tuple[str, ...] | None, BeforeValidator(_parse_inputs)] = None
    """What it reads: sibling layers by name, `name.1` for a second output. Default: the layer before."""
    init: Init | None = None
    """How its parameters start."""

    own_fields: ClassVar[frozenset[str]] = frozenset({"type", "inputs", "init"})
    holds_layers: ClassVar[tuple[str, ...]] = ()
    """Fields that are layers by name."""
    holds_layer: ClassVar[tuple[str, ...]] = ()
    """Fields that are one layer."""
    made_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that are written by `blocks:` and counts, and never by hand."""
    counts: ClassVar[str | None] = None
    """The field that says how many copies there are, for a layer whose layers may speak of `${arg:index}`."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The class is made from a signature, so pickle cannot find it by name; the registry can.
        return _restore, (self.type, self.__getstate__())

    @property
    def arguments(self) -> FrozenDict[str, Any]:
        """The constructor arguments, defaults included."""
        return FrozenDict(
            {name: getattr(self, name) for name in type(self).model_fields if name not in self.own_fields}
        )


def _restore(type_name: str, state: dict[Any, Any]) -> LayerSpec:
    cls = registry.get(type_name).spec
    spec = cls.__new__(cls)
    spec.__setstate__(state)
    return spec


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
    if known := argument_hint(argument, frozenset(fields)):
        return message, known
    near, own = did_you_mean(argument, fields), fields - LayerSpec.own_fields
    if near.startswith("did you mean"):
        return message, near
    return message, did_you_mean(argument, own) if own else "it takes none"
