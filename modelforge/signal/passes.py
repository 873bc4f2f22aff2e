"""Passes through a network: the network itself, how it runs, and what its gradients are of."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.rng import Key
from modelforge.core.words import a_class
from modelforge.modules.calling import tensors
from modelforge.modules.hooks import uncompiled

Loss = Callable[[Any], Tensor]
"""Makes one number of what a network gives."""


def bare(model: nn.Module) -> nn.Module:
    """The network itself: what runs copies of it on several devices, or compiles it, would see the passes."""
    while True:
        inner = uncompiled(model)
        if isinstance(inner, DataParallel | DistributedDataParallel):
            inner = inner.module
        if inner is model:
            return model
        model = inner


@contextmanager
def eager(model: nn.Module) -> Generator[None]:
    """Runs modules as they are written: compiled ones call no hooks, and fused recurrences need training mode."""
    with ExitStack() as stack:
        if any(uncompiled(module) is not module or module._compiled_call_impl for module in model.modules()):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if any(isinstance(module, nn.RNNBase) for module in model.modules()):
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        yield


def ends_of(output: Any, loss: Loss | None, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Where gradients begin, and with which values: at the loss, or at the output in a random direction.

    Raises:
        ForgeError: the loss does not depend on the network.
        TypeError: the loss gives something else than one number.
    """
    if loss is None:
        ends = [value for _, value in tensors(output) if value.is_floating_point() and value.requires_grad]
        generator = Key(seed, "probe", "backward").generator()
        return ends, [torch.randn(end.shape, generator=generator).to(end.device, end.dtype) for end in ends]
    number = loss(output)
    if not _is_number(number):
        raise TypeError(f"the loss must give a tensor of one number, but gives {_shown(number)}")
    if not number.requires_grad:
        hint = "compute it from the output with differentiable operations, without `detach`"
        raise ForgeError([Problem("MF050", "loss", "the loss does not depend on the output of the network", hint)])
    return [number], [torch.ones_like(number)]


def _is_number(value: object) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1


def _shown(value: object) -> str:
    return f"the shape {tuple(value.shape)}" if isinstance(value, Tensor) else a_class(value)
