"""A module on the meta device → another like it, without its constructor: of equal layers, one is constructed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from modelforge.language.registry import LayerType
from modelforge.planning.study import construct

_SHARED: Final = (bool, int, float, str, type(None), torch.dtype, torch.device)
"""Facts that a module and its copy may share, as nothing changes them."""


class Copies:
    """Constructs layers on the meta device, equal ones of modelforge's and torch's own once; the others are copies."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], nn.Module] = {}

    def make(self, layer: LayerType, arguments: Mapping[str, Any]) -> nn.Module:
        """A new module.

        Args:
            layer: Its type, of layers without buffers.
            arguments: All constructor arguments.

        Raises:
            Misfit: the constructor refuses the arguments.
        """
        key = layer.name, repr(arguments)  # 1, 1.0 and True are equal
        first = self._first.get(key) if layer.is_builtin else None
        if first is not None and (copy := copied(first)) is not None:
            return copy
        with _Undrawn():
            module = construct(layer, arguments)
        self._first.setdefault(key, module)
        return module


def copied(module: nn.Module) -> nn.Module | None:
    """A module with parameters of its own, equal in all else; None where it holds what only its constructor can make,
    such as a list of its weights."""
    facts: dict[str, Any] = {}
    for name, value in module.__dict__.items():
        if name == "_parameters":
            facts[name] = {own: weight if weight is None else _another(weight) for own, weight in value.items()}
        elif name == "_modules":
            children = {own: copied(child) for own, child in value.items() if child is not None}
            if len(children) < len(value) or None in children.values():
                return None
            facts[name] = children
        elif isinstance(value, dict | set) and not value:
            facts[name] = type(value)()
        elif _is_fixed(value):
            facts[name] = value
        else:
            return None
    copy = module.__new__(type(module))
    copy.__dict__.update(facts)
    return copy


def _another(weight: nn.Parameter) -> nn.Parameter:
    # `torch.empty_like` takes ten times as long on the meta device.
    empty = torch.empty_strided(weight.shape, weight.stride(), dtype=weight.dtype, device=weight.device)
    return nn.Parameter(empty, requires_grad=weight.requires_grad)


def _is_fixed(value: Any) -> bool:
    """Whether it is known never to change."""
    return all(map(_is_fixed, value)) if type(value) is tuple else isinstance(value, _SHARED)


class _Undrawn(TorchFunctionMode):
    """What constructors write into meta tensors, which hold no values, takes no time."""

    WRITES = frozenset(
        {
            *(init.uniform_, init.normal_, init.kaiming_uniform_, init.kaiming_normal_, init.constant_),
            *(Tensor.uniform_, Tensor.normal_, Tensor.fill_, Tensor.zero_),
        }
    )

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        tensor = args[0] if args else named.get("tensor")
        unwritten = func in self.WRITES and isinstance(tensor, Tensor) and tensor.is_meta
        return tensor if unwritten else func(*args, **named)
