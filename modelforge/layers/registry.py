"""The layer registry: name → `LayerType`, all that the phases need to know about a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from modelforge.errors import did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from modelforge.spec.layer import LayerSpec

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
    fixed: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Constructor arguments with only one value here."""
    without: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Constructor arguments that a config cannot set, each with the reason."""


_TYPES: dict[str, LayerType] = {}
LEFT_OUT: dict[str, str] = {}
"""Classes of torch.nn that are not layers here, each with the reason."""


def register(layer: LayerType) -> None:
    """Adds a layer type; a name is taken once."""
    if layer.name in _TYPES:
        raise ValueError(f"a layer named {layer.name!r} is registered already")
    _TYPES[layer.name] = layer


def unregister(name: str) -> None:
    """Forgets a layer type; for tests and notebooks. KeyError if there is none."""
    del _TYPES[name]


def get(name: str) -> LayerType:
    """The layer type of that name; KeyError if there is none."""
    _load()
    return _TYPES[name]


def names() -> tuple[str, ...]:
    """All registered names, in order of registration."""
    _load()
    return tuple(_TYPES)


def explain_absence(name: str) -> str:
    """Why there is no layer of that name, or which one was meant."""
    return LEFT_OUT.get(name) or did_you_mean(name, names())


@cache
def _load() -> None:
    for module in ("combinators", "torch_nn", "own"):
        import_module(f"modelforge.layers.{module}")
    for entry_point in entry_points(group="modelforge.layers"):
        entry_point.load()


@cache
def reserved_names() -> frozenset[str]:
    """Names that a layer cannot have, because a torch module or a container already uses them."""
    from torch import nn

    return frozenset(dir(nn.Module())) | {"ledger", "shortcut", "merge"}
