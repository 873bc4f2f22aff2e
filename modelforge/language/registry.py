"""The layer registry: name → `LayerType`, all that the phases need to know about a layer."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from modelforge.core.errors import did_you_mean
from modelforge.core.plugins import load_plugins
from modelforge.layers.familiar import type_hint

if TYPE_CHECKING:
    from torch import nn

    from modelforge.language.layer import LayerSpec

GROUP = "modelforge.layers"
"""The entry point group; what an entry point names is imported, and registers itself by the decorator."""

Shapes = tuple[tuple[int, ...], ...]
Infer = Callable[[Shapes], int | None]
"""From the shapes that arrive, batch included, to an argument; None leaves the constructor's default."""

Kind = Literal["layer", "activation", "passthrough", "combinator", "unknown"]
Axes = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class LayerType:
    """One kind of layer: its schema, how it is made, and what it wants to read."""

    name: str
    spec: type[LayerSpec]
    """The Pydantic model of its YAML."""
    make: type[nn.Module] | None = None
    """The `nn.Module` class; None for a combinator."""
    kind: Kind = "layer"
    """`layer`: reads what arrives as it is. `activation`: elementwise, has a gain. `passthrough`: an activation behind
    it still counts as what follows. `unknown`: what it does is not known, so `gain: auto` in front is refused."""
    axes: Axes = ()
    """What the first input may look like, without the batch: alternatives of axis names, `...` for any number."""
    numeric: bool = False
    """Whether it computes with what arrives by its own parameters, so that whole numbers (indices) are a mistake."""
    infer: Mapping[str, Infer] = field(default_factory=lambda: MappingProxyType({}))
    """Arguments that the incoming shapes determine."""
    at_least: frozenset[str] = frozenset()
    """Those of them that may be larger than what arrives needs."""
    mixes_batch: bool = False
    """Whether its purpose is the batch as a whole (a batch norm): in training, one example may see the others."""
    joins: Literal["sum", "product"] | None = None
    """How it puts its inputs together, if that is so simple: a sum may join residual branches, a product gates."""
    is_share: bool = False
    """Whether it gives numbers from 0 to 1, by which a product lets pass what it is multiplied with."""
    fixed: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Constructor arguments with only one value here."""
    without: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Constructor arguments that a config cannot set, each with the reason."""


FREE_AXES = frozenset({"...", "channels", "features", "steps"})
"""Axes of what arrives that may be of any size for all that a layer does, but for what it has parameters for."""
_SMALL: dict[str, int] = {
    **dict.fromkeys(("num_heads", "num_kv_heads", "nhead", "groups", "num_groups"), 1),
    **dict.fromkeys(("num_encoder_layers", "num_decoder_layers"), 1),
    **dict.fromkeys(("num_layers", "proj_size"), 2),
    **dict.fromkeys(("out_features", "out_channels", "hidden_size", "embedding_dim", "dim_feedforward", "head_dim"), 4),
}
SMALL: Mapping[str, int] = MappingProxyType(_SMALL)
"""Arguments that say how wide or deep a layer is and nothing else, each with a size that stands for all larger ones."""

_TYPES: dict[str, LayerType] = {}
LEFT_OUT: dict[str, str] = {}
"""Classes of torch.nn that are not layers here, each with the reason."""


def register(layer: LayerType) -> None:
    """Adds a layer type. A class that is defined again under its old name, as in a notebook, replaces the old one.

    Raises:
        ValueError: another class has the name, or it is one that modelforge ships.
    """
    previous = _TYPES.get(layer.name)
    if previous is not None:
        shipped = _defined_as(previous)[0].startswith(("torch.", "modelforge."))
        if shipped or _defined_as(previous) != _defined_as(layer):
            raise ValueError(f"a layer named {layer.name!r} is registered already: {'.'.join(_defined_as(previous))}")
        unregister(layer.name)
    _TYPES[layer.name] = layer


def unregister(name: str) -> None:
    """Forgets a layer type, how its class is laid out and read; for tests and notebooks. KeyError if there is none."""
    from modelforge.modules.arguments import forget_reader
    from modelforge.modules.parameters import forget_layout

    layer = _TYPES.pop(name)
    if layer.make is not None and all(other.make is not layer.make for other in _TYPES.values()):
        forget_layout(layer.make)
        forget_reader(layer.make)


def get(name: str) -> LayerType:
    """The layer type of that name; KeyError if there is none."""
    _load()
    return _TYPES[name]


def names() -> tuple[str, ...]:
    """All registered names, in order of registration."""
    _load()
    return tuple(_TYPES)


def name_of(cls: type[nn.Module]) -> str | None:
    """The first name under which a class is registered, or None."""
    _load()
    return next((name for name in (cls.__name__, *_TYPES) if name in _TYPES and _TYPES[name].make is cls), None)


def that_mix() -> tuple[type[nn.Module], ...]:
    """The classes of which one example may see the others of its batch in training."""
    _load()
    return tuple(layer.make for layer in _TYPES.values() if layer.mixes_batch and layer.make is not None)


def explain_absence(name: str) -> str:
    """Why there is no layer of that name, or which one was meant."""
    last = name.rpartition(".")[2]
    if known := LEFT_OUT.get(name) or type_hint(last):
        return known
    meant, known = did_you_mean(last, names()), [other.lower() for other in names()]
    if difflib.get_close_matches(last.lower(), known, n=1, cutoff=0.75):
        return meant
    own = "a layer of your own is registered in code first: `@mf.register_layer`"
    return f"{meant} {own[0].upper()}{own[1:]}" if meant else own


def _defined_as(layer: LayerType) -> tuple[str, str]:
    cls = layer.make or layer.spec
    return cls.__module__, cls.__qualname__


def _load() -> None:
    _load_own()
    load_plugins(GROUP)


_OWN = "merges", "reshaping", "attention", "positions", "class_token", "segments", "scales", "drop_path"
"""The few layers that torch.nn lacks."""


@cache
def _load_own() -> None:
    for module in ("combinators", "torch_nn", *_OWN):
        import_module(f"modelforge.layers.{module}")


@cache
def reserved_names() -> frozenset[str]:
    """Names that a layer cannot have, because a torch module, a model, or what `torch.export` makes uses them."""
    from torch import nn

    return frozenset(dir(nn.Module())) | {"ledger", "code", "graph"}
