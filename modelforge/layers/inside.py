"""What follows the modules inside a layer: a layer made of modules says which activation reads each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from torch import nn

from modelforge.block import Activation

Follows = tuple[Activation, ...] | Literal["output", "unknown"]
"""The activations that read a module's output; `output` where it is the layer's own output."""
Inside = Callable[[Any], Mapping[str, Follows]]
InsideFunction = TypeVar("InsideFunction", bound=Inside)
_INSIDE: dict[type[nn.Module], Inside] = {}


def register_inside(*classes: type[nn.Module]) -> Callable[[InsideFunction], InsideFunction]:
    """Registers, for modules made of modules, what reads each direct child: name → activations, or `output`."""

    def decorate(function: InsideFunction) -> InsideFunction:
        _INSIDE.update(dict.fromkeys(classes, function))
        return function

    return decorate


def follows(layer: nn.Module, path: str) -> Follows:
    """What reads the output of the module at `path` below a layer, as far as the modules around it say."""
    while path:
        parent, _, name = path.rpartition(".")
        around = layer.get_submodule(parent)
        known = next((_INSIDE[cls] for cls in type(around).__mro__ if cls in _INSIDE), None)
        found = known(around).get(name, "unknown") if known else "unknown"
        if found != "output":
            return found
        path = parent
    return "output"


@register_inside(nn.MultiheadAttention)
def _attention(module: nn.MultiheadAttention) -> dict[str, Follows]:
    del module
    return {"out_proj": "output"}


@register_inside(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
def _transformer_layer(module: Any) -> dict[str, Follows]:
    """Attention meets a residual sum and a norm; the MLP has its activation, and its end is the output if norms come
    first."""
    names = {"relu": "ReLU", "gelu": "GELU"}
    name = getattr(module.activation, "__name__", "")
    first: Follows = (Activation(names[name], module.activation),) if name in names else "unknown"
    last: Follows = "output" if module.norm_first else ()
    return {"self_attn": (), "multihead_attn": (), "linear1": first, "linear2": last}
