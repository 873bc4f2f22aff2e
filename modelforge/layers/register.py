"""`register_layer`: an `nn.Module` class is the declaration; its signature becomes the schema."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args, overload

from torch import nn

from modelforge.language import registry
from modelforge.language.registry import Infer, Kind, LayerType, Shapes
from modelforge.layers.signature import ALWAYS_WITHOUT, layer_spec
from modelforge.modules.by_class import forget_class
from modelforge.modules.parameters import Layout, register_layout, roles_layout

ModuleClass = TypeVar("ModuleClass", bound=type[nn.Module])
KINDS = tuple(kind for kind in get_args(Kind) if kind != "combinator")
ROLES = "weight", "recurrent", "bias", "embedding", "scale"


def add(
    cls: type[nn.Module],
    axes: str | None = "...",
    *,
    name: str | None = None,
    kind: Kind = "layer",
    numeric: bool = False,
    infer: Mapping[str, int | Infer] | None = None,
    at_least: Collection[str] = (),
    mixes_batch: bool = False,
    joins: Literal["sum", "product"] | None = None,
    is_share: bool = False,
    fixed: Mapping[str, Any] | None = None,
    without: Mapping[str, str] | None = None,
    types: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    extra: Mapping[str, tuple[Any, Any]] | None = None,
    signature: Callable[..., Any] | None = None,
) -> None:
    """Registers a module class; see `LayerType` for what the arguments become.

    `axes` names the axes of one example, alternatives apart by `|`, `...` for any number of axes: `"... features"`,
    `"features | channels length"`. An integer in `infer` is the axis (batch included) that holds the argument.
    """
    name = name or cls.__name__
    rules = {key: size(rule) if isinstance(rule, int) else rule for key, rule in (infer or {}).items()}
    arguments = inspect.signature(signature or cls).parameters
    hidden = {key: reason for key, reason in ALWAYS_WITHOUT.items() if key in arguments} | dict(without or {})
    declare = partial(
        layer_spec,
        name,
        signature or cls,
        types=types or {},
        defaults=defaults or {},
        without=hidden | dict.fromkeys(fixed or {}, ""),
        optional=rules.keys(),
        extra=extra or {},
        doc=_first_line(cls) or f"{cls.__module__}.{cls.__qualname__}",
    )
    layer = LayerType(
        name=name,
        declare=declare,
        make=cls,
        kind=kind,
        axes=() if axes is None else tuple(tuple(option.split()) for option in axes.split("|")),
        numeric=numeric,
        infer=MappingProxyType(rules),
        at_least=frozenset(at_least),
        mixes_batch=mixes_batch,
        joins=joins,
        is_share=is_share,
        fixed=MappingProxyType(dict(fixed or {})),
        without=MappingProxyType(hidden),
    )
    if not cls.__module__.startswith(("modelforge.", "torch.")):
        _ = layer.spec  # what is wrong with a signature shows where the class is registered
    registry.LAYERS.add(name, layer)


def unregister_layer(name: str) -> None:
    """Forgets a layer type, how its class is laid out and read; for tests and notebooks.

    Raises:
        KeyError: there is no such layer.
    """
    layer = registry.LAYERS.get(name)
    registry.LAYERS.remove(name)
    if layer.make is not None and registry.name_of(layer.make) is None:
        forget_class(layer.make)


def size(axis: int, of_input: int = 0) -> Infer:
    """The rule that reads an argument off one axis of one input, if that is there."""

    def infer(shapes: Shapes) -> int | None:
        shape = shapes[of_input] if of_input < len(shapes) else ()
        return shape[axis] if -len(shape) <= axis < len(shape) else None

    return infer


@overload
def register_layer(cls: ModuleClass, /) -> ModuleClass: ...
@overload
def register_layer(
    *,
    name: str | None = None,
    axes: str | None = None,
    kind: Kind = "unknown",
    infer: Mapping[str, int | Infer] | None = None,
    at_least: Collection[str] = (),
    mixes_batch: bool = False,
    joins: Literal["sum", "product"] | None = None,
    roles: Mapping[str, str] | None = None,
    layout: Layout | None = None,
) -> Callable[[ModuleClass], ModuleClass]: ...
def register_layer(
    cls: ModuleClass | None = None,
    /,
    *,
    name: str | None = None,
    axes: str | None = None,
    kind: Kind = "unknown",
    infer: Mapping[str, int | Infer] | None = None,
    at_least: Collection[str] = (),
    mixes_batch: bool = False,
    joins: Literal["sum", "product"] | None = None,
    roles: Mapping[str, str] | None = None,
    layout: Layout | None = None,
) -> ModuleClass | Callable[[ModuleClass], ModuleClass]:
    """Makes a module class available as a layer type.

    Args:
        cls: The class, when used as a bare decorator.
        name: The type name in YAML; default the class name.
        axes: Axes of one example, for error messages and the rank check: `"channels height width"`, `"... features"`.
            Default: whatever arrives is taken, tuples of tensors too.
        kind: What it does to what arrives, for `gain: auto` in front of it: `activation` for elementwise functions
            (they have a gain), `passthrough` for layers that an activation after them still counts through (dropout,
            pooling, reshaping), `layer` for those that read it as it is (a norm, a projection). Default: nothing is
            assumed, and `auto` is refused there.
        infer: Arguments that the incoming shape determines: the axis (batch is 0), or a function of the shapes.
        at_least: Those of them that may be larger than that: a table with more rows than a sequence has steps.
        mixes_batch: Whether in training an example may depend on the others of its batch, as in a batch norm. Elsewhere
            that is refused: planning runs each layer on the CPU, in both modes, on batches of a few examples. A layer
            that has batch norms inside needs not say it.
        joins: `sum` for a layer that adds its inputs up, which may join residual branches; `product` for one that
            multiplies them, which may let one gate another.
        roles: Role of each of its own parameters (`weight`, `recurrent`, `bias`, `embedding`, `scale`); fans are read
            off the shape, outputs first. A vector named `bias` explains itself; all others need one here, or a rule by
            name in `params`.
        layout: In place of `roles`: a function from the module to its parameters' layouts, for logical matrices.

    Raises:
        TypeError: it is not a subclass of `nn.Module`, or an argument is of the wrong kind.
        ValueError: a name, `axes`, `kind`, `infer` or `roles` that mean nothing, or a name that is taken.

    Example:
        >>> import torch
        >>> @register_layer(axes="... features", infer={"dim": -1}, roles={"gamma": "scale"})
        ... class Gate(torch.nn.Module):
        ...     def __init__(self, dim: int) -> None:
        ...         super().__init__()
        ...         self.gamma = torch.nn.Parameter(torch.empty(dim))
        ...
        ...     def forward(self, x: torch.Tensor) -> torch.Tensor:
        ...         return x * self.gamma.sigmoid()
        >>> from modelforge.language import registry
        >>> registry.get("Gate").spec.model_validate({"type": "Gate", "dim": 3}).arguments
        {'dim': 3}
        >>> unregister_layer("Gate")
    """

    def decorate(cls: ModuleClass) -> ModuleClass:
        _check(cls, name, axes, kind, infer or {}, roles or {})
        if not cls.__module__.startswith("modelforge."):
            registry.names()  # what modelforge ships comes first
        add(cls, axes, name=name, kind=kind, infer=infer, at_least=at_least, mixes_batch=mixes_batch, joins=joins)
        if layout is not None or roles is not None:
            register_layout(cls)(layout or roles_layout(roles or {}))
        return cls

    return decorate if cls is None else decorate(cls)


def _check(
    cls: Any,
    name: str | None,
    axes: str | None,
    kind: str,
    infer: Mapping[str, int | Infer],
    roles: Mapping[str, str],
) -> None:
    if not (inspect.isclass(cls) and issubclass(cls, nn.Module)):
        raise TypeError(f"register_layer takes a subclass of nn.Module, but gets {cls!r}")
    owner = cls.__qualname__
    if not isinstance(axes, str | None) or not isinstance(name, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
        raise TypeError(f"`axes` and `name` of {owner} must be text, but are {axes!r} and {name!r}")
    if not (name or cls.__name__).isidentifier():
        raise ValueError(f"`{name}` cannot name a layer type: use letters, digits and underscores")
    if any(option.split().count("...") > 1 for option in (axes or "").split("|")):
        raise ValueError(f"`axes` of {owner} may say `...` once in each alternative, but is {axes!r}")
    if kind not in KINDS:
        raise ValueError(f"`kind` of {owner} must be one of {', '.join(KINDS)}, but is {kind!r}")
    arguments = inspect.signature(cls).parameters
    for argument, rule in infer.items():
        if argument not in arguments:
            raise ValueError(f"`infer` of {owner} names `{argument}`: its constructor takes {', '.join(arguments)}")
        if not (isinstance(rule, int) or callable(rule)):  # pyright: ignore[reportUnnecessaryIsInstance]  # as above
            raise TypeError(f"`infer` of {owner} needs an axis or a function for `{argument}`, but gets {rule!r}")
    for parameter, role in roles.items():
        if role not in ROLES:
            raise ValueError(f"the role of `{parameter}` of {owner} must be one of {', '.join(ROLES)}, but is {role!r}")


def _first_line(cls: type) -> str:
    lines = [line.strip() for line in (cls.__doc__ or "").splitlines()]
    # torch writes the signatures of overloaded constructors in front.
    return next((line for line in lines if line and not line.startswith("__init__(")), "")
