"""Hooks: what some module classes need from the phases, which know none of them by name."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any, cast

from torch import nn


def after_materialise(module: nn.Module) -> None:
    """Renews what a module remembers of its parameters, after they were replaced."""
    if isinstance(module, nn.RNNBase):
        module._init_flat_weights()


@contextmanager
def evaluating(*modules: nn.Module) -> Generator[None]:
    """Puts modules in evaluation mode, and each of them, and of those in it, back into its own."""
    modes = {inner: inner.training for module in modules for inner in module.modules()}
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for inner, mode in modes.items():
            inner.training = mode


def uncompiled(module: nn.Module) -> nn.Module:
    """The module that `torch.compile` was given, or the module itself: its parameters are the same."""
    while isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
        module = inner
    return module


@contextmanager
def as_written(module: nn.Module) -> Generator[nn.Module]:
    """The module without what `torch.compile` puts around it and around modules in it; they are put back at the end.

    So its parameters have the names that they have in the module that was compiled, as a whole or part by part.
    """
    root = uncompiled(module)
    compiled: list[tuple[nn.Module, str, nn.Module]] = []
    pending, seen = [root], {id(root)}
    try:
        while pending:
            parent = pending.pop()
            for name, child in [*parent._modules.items()]:
                inner = child if child is None else uncompiled(child)
                if inner is not child:
                    compiled.append((parent, name, cast(nn.Module, child)))
                    parent._modules[name] = inner
                if inner is not None and id(inner) not in seen:
                    seen.add(id(inner))
                    pending.append(inner)
        yield root
    finally:
        for parent, name, child in compiled:
            parent._modules[name] = child


def reset_method(module: nn.Module) -> Callable[[], Any] | None:
    """What fills a module's parameters as its author meant, if it has that; attention has it under a private name."""
    method = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    return method if method is not None and not _needs_arguments(method) else None


def _needs_arguments(method: Callable[..., Any]) -> bool:
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    expected = signature(method).parameters.values()
    return any(parameter.default is Parameter.empty and parameter.kind not in variadic for parameter in expected)
