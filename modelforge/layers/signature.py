"""signature → Pydantic fields: a constructor is already a typed declaration, this reads it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args

from pydantic import GetJsonSchemaHandler, ValidationError, WrapValidator, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from modelforge.core.complaints import WORDS, as_whole, in_words, too_large, wrong
from modelforge.core.limits import MAX_PARTS, MAX_SIZE
from modelforge.core.quoting import quoted
from modelforge.language import registry
from modelforge.language.layer import LayerSpec

ALWAYS_WITHOUT = {
    "device": "`build(device=...)` sets it for the whole model",
    "dtype": "`build(dtype=...)` sets it for the whole model",
    "inplace": "it would overwrite what other layers, or the caller, still read",
}


POSITIVE = {
    *("kernel_size", "stride", "dilation", "groups", "num_heads", "nhead", "num_groups", "num_layers", "hidden_size"),
    *("upscale_factor", "downscale_factor", "num_encoder_layers", "num_decoder_layers", "num_kv_heads", "head_dim"),
    *("num_buckets", "rope_original_steps"),
}
"""Sizes that no layer can have at zero; torch itself would notice some of them only when the layer runs."""
WIDTHS = {
    *("in_features", "in1_features", "in2_features", "out_features", "in_channels", "out_channels", "num_channels"),
    *("num_features", "input_size", "num_embeddings", "embedding_dim", "embed_dim", "dim_feedforward", "d_model"),
    *("num_positions", "normalized_shape", "proj_size"),
}
"""Sizes that may be zero, and of which torch refuses a negative one in words of its own."""


class MadeSpec(LayerSpec):
    """Base of the models that are made of a signature: pickle cannot find them by name, the registry can."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self.type, self.__getstate__())


def _restore(type_name: str, state: dict[Any, Any]) -> LayerSpec:
    cls = registry.get(type_name).spec
    spec = cls.__new__(cls)
    spec.__setstate__(state)
    return spec


def layer_spec(
    name: str,
    constructor: Callable[..., Any],
    *,
    types: Mapping[str, Any],
    defaults: Mapping[str, Any],
    without: Mapping[str, str],
    optional: typing.Collection[str],
    extra: Mapping[str, tuple[Any, Any]],
    doc: str = "",
) -> type[LayerSpec]:
    """The Pydantic model of a layer's YAML, made from its constructor's signature.

    Args:
        name: The layer's type name.
        constructor: A class or function; its parameters become fields with the same names, types and defaults.
        types: Annotations that replace those of the signature, or stand in where it has none.
        defaults: Defaults that replace those of the signature.
        without: Parameters that a config cannot set.
        optional: Parameters that may be left out because the incoming shape determines them.
        extra: Fields beyond the signature: name → (annotation, default).
        doc: First line of the layer's documentation.
    """
    fields: dict[str, Any] = {}
    hints = _hints(constructor)
    for parameter in _parameters(constructor):
        if parameter.name in without or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        annotation = types.get(parameter.name, hints.get(parameter.name, Any))
        default = defaults.get(parameter.name, parameter.default)
        if parameter.name in optional:
            annotation, default = Union[annotation, None], None  # noqa: UP007  # `|` fails on string annotations
        elif default is parameter.empty:
            default = ...
        elif default is None and not _accepts_none(annotation):
            annotation = Union[annotation, None]  # noqa: UP007  # as above
        most = MAX_PARTS.get(parameter.name, MAX_SIZE)
        least = 1 if parameter.name in POSITIVE else 0 if parameter.name in WIDTHS else None
        fields[parameter.name] = (checked(annotation, least=least, most=most), default)
    fields |= {key: (checked(annotation), default) for key, (annotation, default) in extra.items()}
    spec = create_model(name, __base__=MadeSpec, __doc__=doc, type=(Literal[name], name), **fields)  # pyright: ignore[reportCallIssue, reportArgumentType]  # dynamic
    return typing.cast("type[LayerSpec]", spec)


def checked(annotation: Any, *, least: int | None = None, most: int = MAX_SIZE) -> Any:
    """The annotation with one sentence as its error, whatever the shape of the union behind it, and bounded sizes."""

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            valid = handler(_tuples(value))
        except ValidationError:
            expected = in_words(annotation)
        else:
            sizes = _sizes(valid)
            if any(size > most for size in sizes):
                raise too_large(most, sizes)
            if least is None or all(size >= least for size in sizes):
                return valid
            expected = "positive" if least else "0 or more"
        written = as_whole(value) if expected.startswith(WORDS[int]) else ""
        raise wrong("MF014", f"must be {expected}, but is {quoted(value)}", written)

    return Annotated[annotation, WrapValidator(check), *(() if least is None else (_AtLeast(least),))]


@dataclass(frozen=True, slots=True)
class _AtLeast:
    """Says in a JSON Schema, too, that whole numbers are at least this."""

    least: int

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self._with_minimum(handler(core))

    def _with_minimum(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._with_minimum(item) for item in part]
        if not isinstance(part, dict):
            return part
        bound = {"minimum": self.least} if part.get("type") == "integer" else {}
        return {key: self._with_minimum(item) for key, item in part.items()} | bound


def _sizes(value: Any) -> list[int]:
    return [size for size in (value if isinstance(value, tuple) else (value,)) if isinstance(size, int)]


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _accepts_none(annotation: Any) -> bool:
    return annotation is Any or type(None) in get_args(annotation)


def _parameters(constructor: Callable[..., Any]) -> list[inspect.Parameter]:
    if isinstance(constructor, type) and constructor.__init__ is object.__init__:
        return []
    return list(inspect.signature(constructor).parameters.values())


def _hints(constructor: Callable[..., Any]) -> dict[str, Any]:
    target = constructor.__init__ if isinstance(constructor, type) else constructor
    try:
        return typing.get_type_hints(target)
    except (NameError, TypeError):
        return {
            key: value for key, value in getattr(target, "__annotations__", {}).items() if not isinstance(value, str)
        }
