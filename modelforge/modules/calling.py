"""call: a model and a batch of any structure → the model's output; a batch that it cannot take is a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import sentence
from modelforge.core.rng import Key


def call(model: Callable[..., Any], batch: Any) -> Any:
    """Calls the model: a mapping gives its keyword arguments, a tuple or list its arguments, a tensor is the only one.

    Raises:
        ForgeError: the model cannot run on the batch.
    """
    try:
        if isinstance(batch, Mapping):
            return model(**batch)
        several = isinstance(batch, tuple | list) and not isinstance(batch, PackedSequence)
        return model(*batch) if several else model(batch)
    except ForgeError:
        raise
    except Exception as error:
        raise ForgeError([_cannot_run(model, batch, error)]) from error


def seed_devices(key: Key, devices: Iterable[int]) -> None:
    """Seeds torch's generators of the CPU and of these CUDA devices."""
    torch.set_rng_state(key.generator().get_state())
    for index in devices:
        torch.cuda.default_generators[index].manual_seed(key.integer())


def tensors(value: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a value of any structure, each with its place.

    >>> [place for place, _ in tensors({"ids": torch.ones(2), "state": (torch.ones(1), [None, torch.ones(1)])})]
    ['ids', 'state.0', 'state.1.1']
    """
    if isinstance(value, Tensor):
        yield path, value
        return
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, tuple | list):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return
    for name, item in items:
        yield from tensors(item, f"{path}.{name}" if path else name)


def replaced(value: Any, function: Callable[[Tensor], Any]) -> Any:
    """The value with a function of each tensor in its place; the structure, and what is not a tensor, stay.

    >>> replaced({"x": (torch.ones(2), "same")}, lambda tensor: 2 * tensor)
    {'x': (tensor([2., 2.]), 'same')}
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: replaced(item, function) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(replaced(item, function) for item in value))
    if isinstance(value, tuple | list):
        items = [replaced(item, function) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return value


def shapes(batch: Any) -> str:
    """The shapes and types of a batch in words.

    >>> shapes((torch.ones(2, 3), {"mask": None}))
    '[(2, 3) of float32, {mask: (NoneType)}]'
    """
    if isinstance(batch, Tensor):
        return f"{tuple(batch.shape)} of {str(batch.dtype).removeprefix('torch.')}"
    if isinstance(batch, Mapping):
        return "{" + ", ".join(f"{name}: {shapes(value)}" for name, value in batch.items()) + "}"
    if isinstance(batch, tuple | list):
        return "[" + ", ".join(shapes(value) for value in batch) + "]"
    return f"({type(batch).__name__})"


def _cannot_run(model: Callable[..., Any], batch: Any, error: Exception) -> Problem:
    message = f"{type(model).__name__} cannot run on this batch {shapes(batch)}: {sentence(error)}"
    hint = "a tensor is its only argument, a tuple its arguments, a mapping its keyword arguments"
    return Problem("MF050", "batch", message, hint)
