"""untouched: a model that runs inside a `with`, and is afterwards what it was: its state, and the process's randomness.

Parameters are not written by a forward pass, so their values are not copied.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def untouched(model: nn.Module) -> Generator[None]:
    """Runs its body, and then restores what a pass through the model can change, whatever happens.

    Restored are attributes of modules (the training flag among them), buffers, hooks, `requires_grad`, and the random
    state of Python, NumPy and torch.
    """
    modules = [_Held(module) for module in model.modules()]
    flags = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        with random_state(gpus(model)):
            yield
    finally:
        for held in modules:
            held.restore()
        for weight, flag in flags:
            weight.requires_grad_(flag)


@contextmanager
def random_state(devices: Sequence[int] = ()) -> Generator[None]:
    """Runs its body, and restores the random state of Python, NumPy and torch, on the CPU and these CUDA devices."""
    with random_state_beside_torch(), torch.random.fork_rng([*devices]):
        yield


@contextmanager
def random_state_beside_torch() -> Generator[None]:
    """Runs its body, and restores the random state of Python and NumPy."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def gpus(model: nn.Module) -> list[int]:
    """The CUDA devices that hold the model."""
    tensors: Iterable[Tensor] = (*model.parameters(), *model.buffers())
    return sorted({tensor.device.index for tensor in tensors if tensor.device.type == "cuda"})


class _Held:
    """What one module held: its attributes, what is in its tables, and the values of its buffers."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._attributes = dict(vars(module))
        # Parameters, buffers, children and hooks are each in a table that stays the same object.
        self._tables = [(table, dict(table)) for table in vars(module).values() if isinstance(table, dict)]
        self._values = [(value, value.clone()) for value in module._buffers.values() if value is not None]

    def restore(self) -> None:
        _put_back(vars(self._module), self._attributes)
        for table, entries in self._tables:
            _put_back(table, entries)
        with torch.no_grad():
            for value, old in self._values:
                value.copy_(old)


def _put_back(table: dict[Any, Any], entries: dict[Any, Any]) -> None:
    """Restores a table, in its order; one that has not changed is not written."""
    same = len(table) == len(entries) and all(
        key == old_key and value is old
        for (key, value), (old_key, old) in zip(table.items(), entries.items(), strict=True)
    )
    if not same:
        table.clear()
        table.update(entries)
