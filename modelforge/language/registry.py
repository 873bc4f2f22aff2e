"""The layer registry: name → `LayerType`, all that the phases need to know about a layer."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from modelforge.core.paths import last
from modelforge.core.plugins import own_module
from modelforge.core.registry import Registry
from modelforge.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from torch import nn

    from modelforge.language.layer import LayerSpec

Shapes = tuple[tuple[int, ...], ...]
Infer = Callable[[Shapes], int | None]
"""From the shapes that arrive, batch included, to an argument; None leaves the constructor's default."""

Kind = Literal["layer", "activation", "passthrough", "combinator", "unknown"]
Axes = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class LayerType:
    """One kind of layer: its schema, how it is made, and what it reads."""

    name: str
    declare: Callable[[], type[LayerSpec]]
    """Makes the Pydantic model of its YAML, which takes time: a config names few of the layers that there are."""
    make: type[nn.Module] | None = None
    """The `nn.Module` class; None for a combinator."""
    kind: Kind = "layer"
    """`layer`: reads what arrives as it is. `activation`: elementwise, has a gain. `passthrough`: an activation after
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

    @cached_property
    def spec(self) -> type[LayerSpec]:
        """The Pydantic model of its YAML."""
        return self.declare()

    @cached_property
    def is_builtin(self) -> bool:
        """Whether modelforge or torch makes it, so that it is the same as long as the process lives."""
        return self.make is not None and self.make.__module__.partition(".")[0] in ("modelforge", "torch")


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

LAYERS = Registry["LayerType"](
    "a layer",
    "modelforge.layers",
    definition=lambda layer: layer.make or layer.spec,
    package="modelforge.layers",
    code="MF010",
)
"""Every layer type by its name."""
LEFT_OUT: dict[str, str] = {}
"""Classes of torch.nn that are not layers here, each with the reason."""
ELSEWHERE: dict[str, str] = {}
"""Names of layers in other libraries → what to write here."""
ARGUMENTS_ELSEWHERE: dict[str, str] = {}
"""Arguments in other libraries → those here, of which a layer has one, or a sentence."""

get = LAYERS.get
names = LAYERS.names


def name_of(cls: type[nn.Module]) -> str | None:
    """The first name under which a class is registered, or None."""
    types = dict(LAYERS.entries())
    return next((name for name in (cls.__name__, *types) if name in types and types[name].make is cls), None)


def that_mix() -> tuple[type[nn.Module], ...]:
    """The classes of which one example may see the others of its batch in training."""
    return tuple(layer.make for _, layer in LAYERS.entries() if layer.mixes_batch and layer.make is not None)


def explain_absence(name: str) -> str:
    """Why there is no layer of that name, or which one was meant."""
    short = last(name.partition("(")[0])
    if short != name and short in LAYERS:
        written = "arguments are keys beside it: " if "(" in name else ""
        return f"{written}write `{{type: {short}, ...}}`" if written else f"write `{short}`"
    if known := LEFT_OUT.get(name) or _name_elsewhere(short):
        return known
    meant, known = did_you_mean(short, names()), [other.lower() for other in names()]
    if difflib.get_close_matches(short.lower(), known, n=1, cutoff=0.75):
        return meant
    own = f"register your own layer in code first: `@mf.register_layer`{own_module()}"
    return f"{meant} {own[0].upper()}{own[1:]}" if meant else own


def _name_elsewhere(name: str) -> str:
    meant = ELSEWHERE.get(name, "")
    return f"here it is {meant}" if meant.startswith(("`", "{")) else meant


def argument_elsewhere(name: str, fields: frozenset[str]) -> str:
    """Which of `fields` an argument of that name is in other libraries; empty where it is not known."""
    meant = ARGUMENTS_ELSEWHERE.get(name, "")
    if "`" in meant or "the " in meant:
        return meant
    found = next((field for field in meant.split() if field in fields), "")
    return f"here it is `{found}`" if found else ""


@cache
def reserved_names() -> frozenset[str]:
    """Names that a layer cannot have, because a torch module, a model, or what `torch.export` makes uses them."""
    from torch import nn

    return frozenset(dir(nn.Module())) | {"ledger", "code", "graph"}
