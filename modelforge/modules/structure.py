"""What a layer made of modules says of its inside: which activation reads each of them, which of them make its output,
and which are its residual branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from torch import nn

from modelforge.core.matrix import Activation
from modelforge.modules.by_class import ClassTable, ModuleClass
from modelforge.modules.by_class import forget_class as forget_class

Follows = tuple[Activation, ...] | Literal["output", "unknown"]
"""The activations that read a module's output; `output` where it is the layer's own output."""
Inside = Callable[[Any], Mapping[str, Follows]]
InsideFunction = TypeVar("InsideFunction", bound=Inside)
_INSIDE = ClassTable[Inside]()
_BRANCHES = ClassTable[tuple[tuple[str, ...], ...]]()
_LIBRARIES = frozenset({"torch", "modelforge", "transformers"})
"""Whose modules are registered where they have residual branches."""


def register_inside(*classes: ModuleClass) -> Callable[[InsideFunction], InsideFunction]:
    """Registers, for modules made of modules, what reads each of their children: what `gain: auto` goes by.

    The decorated function gets a module and gives, by the name of a direct child, the activations that read what the
    child makes (none: `()`), or `"output"` where the module gives just that. Of children that it leaves out nothing is
    known, and `auto` is refused there.

    Args:
        classes: Classes, or full names of classes that need not be imported (`"package.module.Class"`).

    Example:
        >>> from torch import nn
        >>> import modelforge as mf
        >>> class Mixer(nn.Module):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.up, self.act, self.down = nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64)
        ...
        ...     def forward(self, x):
        ...         return x + self.down(self.act(self.up(x)))
        >>> @register_inside(Mixer)
        ... def mixer(module: Mixer) -> dict[str, Follows]:
        ...     return {"up": reads(module.act), "down": ()}
        >>> ledger = mf.initialize(Mixer(), {"scheme": "lecun", "gain": "auto"})
        >>> [ledger[path].numbers["activation"] for path in ("up.weight", "down.weight")]
        ['ReLU', 'none']
        >>> forget_class(Mixer)
    """

    def decorate(function: InsideFunction) -> InsideFunction:
        _INSIDE.add(function, *classes)
        return function

    return decorate


def reads(function: object) -> Follows:
    """That this activation reads a module's output; `unknown` if it is not a module, or has parameters to learn."""
    if not isinstance(function, nn.Module) or any(True for _ in function.parameters()):
        return "unknown"
    # Those of a library often hold what they were made with, and show none of it.
    given = {
        name: value for name, value in vars(function).items() if type(value) in (int, float, str) and name[0] != "_"
    }
    shown = ", ".join(f"{name}={value}" for name, value in given.items())
    kind = type(function).__name__
    return (Activation(f"{kind}({shown})" if shown else kind, function),)


def register_branches(cls: ModuleClass, *branches: tuple[str, ...]) -> None:
    """Registers the residual branches of a module: the submodules of each, in order.

    Depth-aware schemes count them, and make what ends one smaller. A branch that a module has no part of (a decoder
    without cross-attention) does not count; of a module that has only a part of one, nothing is known.

    Args:
        cls: The class, or the full name of one that need not be imported (`"package.module.Class"`).
        branches: Names of submodules, with dots where they are deeper: `("norm", "mlp", "mlp.down")` is the branch of a
            norm and an MLP, and `mlp.down` makes what is added.

    Example:
        >>> from torch import nn
        >>> import modelforge as mf
        >>> class Mixer(nn.Module):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.up, self.down = nn.Linear(64, 256), nn.Linear(256, 64)
        ...
        ...     def forward(self, x):
        ...         return x + self.down(self.up(x).relu())
        >>> register_branches(Mixer, ("up", "down"))
        >>> ledger = mf.initialize(nn.Sequential(*(Mixer() for _ in range(4))), "gpt2")
        >>> ledger["0.up.weight"].target_std, ledger["3.down.weight"].target_std  # 0.02, and 0.02 / √4
        (0.02, 0.01)
        >>> forget_class(Mixer)
    """
    _BRANCHES.add(branches, cls)


def branches(module: nn.Module) -> tuple[tuple[str, ...], ...]:
    """The residual branches of a module, as submodules' names; none where its class says nothing."""
    known = _BRANCHES.of(module) or ()
    there = {name: _has(module, name) for names in known for name in names}
    found = tuple(names for names in known if any(there[name] for name in names))
    return found if all(there[name] for names in found for name in names) else ()


def is_known(module: nn.Module) -> bool:
    """Whether a module that holds others has no residual branches but those that are registered: it is torch's or
    modelforge's own, one of a library of which some are registered, or registered itself."""
    if _INSIDE.of(module) is not None or _BRANCHES.of(module) is not None:
        return True
    return type(module).__module__.partition(".")[0] in _LIBRARIES


def _has(module: nn.Module, path: str) -> bool:
    inner: Any = module
    for name in path.split("."):
        inner = inner._modules.get(name) if isinstance(inner, nn.Module) else None
    return inner is not None


def makes_output(module: nn.Module, path: str) -> bool:
    """Whether the submodule at `path` (`""`: the module itself) computes, with its own parameters, what comes out."""
    known = _INSIDE.of(module)
    if known is None or not path:
        return known is None and not path
    name, _, rest = path.partition(".")
    return known(module).get(name) == "output" and makes_output(module.get_submodule(name), rest)


def follows(layer: nn.Module, path: str) -> Follows:
    """What reads the output of the module at `path` below a layer, as far as the modules around it say."""
    while path:
        parent, _, name = path.rpartition(".")
        around = layer.get_submodule(parent)
        known = _INSIDE.of(around)
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


register_branches(nn.TransformerEncoderLayer, ("self_attn",), ("linear1", "linear2"))
register_branches(nn.TransformerDecoderLayer, ("self_attn",), ("multihead_attn",), ("linear1", "linear2"))
