"""read: a module → the layer type that it is, and the constructor arguments that make it.

torch's modules and most others keep an argument as the attribute of its name. Where a class does not, a reader beside
its registration says what the module was made with. What was read is made again, on the meta device, and compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from modelforge.core.errors import Refusal
from modelforge.core.words import a_class
from modelforge.language import registry
from modelforge.language.registry import LayerType
from modelforge.modules.by_class import ClassTable, ModuleClass
from modelforge.modules.by_class import forget_class as forget_class

Reader = Callable[[Any], Mapping[str, Any]]
ReaderFunction = TypeVar("ReaderFunction", bound=Reader)
_READERS = ClassTable[Reader]()
_STANDS_FOR: dict[type[nn.Module], str] = {}


_NOT_PER_AXIS = frozenset({"shape", "dims", "dim", "normalized_shape", "unflattened_size"})
"""Arguments whose tuples list dimensions, or are a shape: one number would be another."""


def register_reader(*classes: ModuleClass, layer: str = "") -> Callable[[ReaderFunction], ReaderFunction]:
    """Registers how constructor arguments are read off modules of these classes, and of classes derived from them.

    The decorated function gets a module and gives its arguments by name. Those that it leaves out are read as they are
    elsewhere: an attribute of the same name. It may raise `Refusal`.

    Args:
        classes: Classes, or full names of classes that need not be imported.
        layer: The layer type that modules of just these classes are; default that which was registered with the class.

    Example:
        >>> class Table(nn.Module):
        ...     def __init__(self, rows: int) -> None:
        ...         super().__init__()
        ...         self.weight = nn.Parameter(torch.empty(rows, 2))
        >>> @register_reader(Table)
        ... def table(module: Table) -> dict[str, int]:
        ...     return {"rows": len(module.weight)}
        >>> forget_class(Table)
    """

    def decorate(function: ReaderFunction) -> ReaderFunction:
        _READERS.add(function, *classes)
        if layer:
            _STANDS_FOR.update({cls: layer for cls in classes if isinstance(cls, type)})
        return function

    return decorate


def layer_of(module: nn.Module) -> LayerType | None:
    """The layer type that a module is an instance of, by its exact class: a derived class computes something else."""
    name = registry.name_of(type(module)) or _STANDS_FOR.get(type(module))
    return None if name is None else registry.get(name)


def read(module: nn.Module, layer: LayerType) -> dict[str, Any]:
    """The constructor arguments of a module, as a config may write them; those that equal the default too.

    Raises:
        Refusal: an argument is not kept, or the module is not what the constructor makes of them.
    """
    reader = _READERS.of(module)
    known = dict(reader(module)) if reader is not None else {}
    arguments: dict[str, Any] = {}
    for name, info in layer.spec.model_fields.items():
        if name in layer.spec.own_fields:
            continue
        if name in known or hasattr(module, name):
            arguments[name] = _plain(known[name] if name in known else getattr(module, name), name)
        elif name not in layer.infer:
            kept = "" if info.is_required() else f", whose default is {info.default!r}"
            message = f"{layer.name} does not keep its argument `{name}`{kept}"
            raise Refusal(message, f"keep it: `self.{name} = {name}`; or see `register_reader`")
    for name, value in layer.fixed.items():
        if getattr(module, name, value) != value:
            raise Refusal(f"{layer.name} has `{name}={getattr(module, name)}`, which is always {value} in a config")
    _check(module, layer, arguments)
    return {name: _short(value, layer, name, arguments) for name, value in arguments.items()}


def _plain(value: Any, name: str) -> Any:
    """A flag where a module keeps the parameter itself (`bias`), a tuple where it keeps a list."""
    if name == "bias" and (value is None or isinstance(value, Tensor)):
        return value is not None
    if isinstance(value, tuple | list):
        return tuple(_plain(item, "") for item in value)
    if not (value is None or isinstance(value, bool | int | float | str)):
        raise Refusal(f"its `{name}` is {a_class(value)}, which a config cannot hold")
    return value


def _short(value: Any, layer: LayerType, name: str, arguments: Mapping[str, Any]) -> Any:
    """One number where it stands for all: `3` for `(3, 3)`, if the layer takes that."""
    items = list(value) if isinstance(value, tuple) else []
    if len(set(map(repr, items))) != 1 or not isinstance(items[0], int | float):
        return value
    if len(items) > 1 and name in _NOT_PER_AXIS:
        return value
    try:
        layer.spec.model_validate({"type": layer.name, **arguments, name: items[0]})
    except ValueError:
        return value
    return items[0]


def _check(module: nn.Module, layer: LayerType, arguments: Mapping[str, Any]) -> None:
    """Whether the constructor makes such a module of these arguments."""
    assert layer.make is not None
    try:
        # What the shape determines and the module does not keep cannot be constructed with.
        with torch.device("meta"):
            again = layer.make(**arguments, **layer.fixed)
    except Exception as error:
        if set(layer.infer) - arguments.keys():
            return
        raise Refusal(f"{layer.name} refuses what was read off it: {error}") from error
    if _shapes(again) != _shapes(module) or _shown(again) != _shown(module):
        message = f"this is not what {layer.name} makes of its arguments: it was changed after it was made"
        raise Refusal(message, "register a class of your own for what it is now")


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in [*module.named_parameters(), *module.named_buffers()]}


def _shown(module: nn.Module) -> str:
    return re.sub(r"(, )?inplace=(True|False)", "", repr(module))


# --- torch.nn ---------------------------------------------------------------------------------------------------------


@register_reader(
    *(nn.modules.pooling._MaxPoolNd, nn.modules.pooling._MaxUnpoolNd),
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
)
def _pool(module: Any) -> dict[str, Any]:
    """As large as the kernel is what a stride is by default, and then it is kept as if it had been given."""
    return {"stride": None if module.stride == module.kernel_size else module.stride}


@register_reader(nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
def _norm(module: Any) -> dict[str, Any]:
    """Without a scale there is no bias either, whatever was asked for."""
    return {"bias": module.bias is not None or module.weight is None}


@register_reader(nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d, nn.Upsample)
def _upsample(module: Any) -> dict[str, Any]:
    """Whole factors are kept as fractions."""
    factor = module.scale_factor
    whole = isinstance(factor, float) and factor.is_integer() and type(module) is not nn.Upsample
    return {"scale_factor": int(factor) if whole else factor}


@register_reader(nn.PairwiseDistance)
def _distance(module: nn.PairwiseDistance) -> dict[str, Any]:
    return {"p": module.norm}


@register_reader(nn.MultiheadAttention, layer="MultiheadAttention")
def _attention(module: Any) -> dict[str, Any]:
    return {
        "bias": module.in_proj_bias is not None,
        "add_bias_kv": module.bias_k is not None,
        "kdim": None if module.kdim == module.embed_dim else module.kdim,
        "vdim": None if module.vdim == module.embed_dim else module.vdim,
        "need_weights": getattr(module, "need_weights", False),
    }


@register_reader(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
def _transformer_layer(module: Any) -> dict[str, Any]:
    _refuse_steps_first(module.self_attn)
    return {
        "d_model": module.self_attn.embed_dim,
        "nhead": module.self_attn.num_heads,
        "dim_feedforward": module.linear1.out_features,
        "dropout": _dropout(module),
        "activation": _activation(module.activation),
        "layer_norm_eps": module.norm1.eps,
        "norm_first": module.norm_first,
        "bias": module.linear1.bias is not None,
    }


@register_reader(nn.Transformer)
def _transformer(module: Any) -> dict[str, Any]:
    halves: tuple[Any, ...] = (module.encoder, module.decoder)
    if not all(isinstance(half, nn.TransformerEncoder | nn.TransformerDecoder) for half in halves):
        raise Refusal("its encoder or decoder is of a class of its own, which a config cannot hold")
    layers = {"num_encoder_layers": module.encoder.num_layers, "num_decoder_layers": module.decoder.num_layers}
    return _transformer_layer(module.encoder.layers[0]) | layers | {"dropout": _dropout(module)}


def _dropout(module: nn.Module) -> float:
    """That of all its parts: attention has its own, which its text does not show."""
    parts = dict(module.named_modules())
    found = {f"{name}.p": part.p for name, part in parts.items() if isinstance(part, nn.Dropout)}
    found |= {
        f"{name}.dropout": part.dropout for name, part in parts.items() if isinstance(part, nn.MultiheadAttention)
    }
    first, value = next(iter(found.items()))
    if (other := next((name for name in found if found[name] != value), None)) is not None:
        reason = f"`{first}` is {value}, but `{other}` is {found[other]}, and a config has one dropout for both"
        raise Refusal(reason, "set both to the same before")
    return value


def _refuse_steps_first(module: Any) -> None:
    if not module.batch_first:
        raise Refusal("it has `batch_first=False`, which is always true in a config", "give it batches first")


def _activation(function: Any) -> str:
    if function is nn.functional.relu or type(function) is nn.ReLU:
        return "relu"
    if function is nn.functional.gelu or (type(function) is nn.GELU and function.approximate == "none"):
        return "gelu"
    raise Refusal("its activation is neither relu nor gelu, by name or as torch has them")
