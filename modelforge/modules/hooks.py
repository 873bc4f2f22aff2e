"""Hooks: what some module classes need from the phases, which know none of them by name."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

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
    inner = getattr(module, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else module


def reset_method(module: nn.Module) -> Callable[[], Any] | None:
    """What fills a module's parameters as its author meant, if it has that; attention has it under a private name."""
    method = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    return method if method is not None and not _needs_arguments(method) else None


def _needs_arguments(method: Callable[..., Any]) -> bool:
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    expected = signature(method).parameters.values()
    return any(parameter.default is Parameter.empty and parameter.kind not in variadic for parameter in expected)
