"""Forward passes of a model on a batch: watched, repeatable, and without a trace in the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.calibration.sites import Site
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import sentence
from modelforge.core.rng import Key
from modelforge.modules.hooks import evaluating

Watch = Callable[[Site, nn.Module, tuple[Any, ...], dict[str, Any], Any], Any]
"""Sees a site, its module, the arguments by place and by name, and what it makes; may replace that."""


@contextmanager
def undisturbed(model: nn.Module) -> Generator[None]:
    """Evaluation mode without gradients for its body; flags, buffers and random state are what they were after it."""
    buffers = [
        (module._buffers, name, value, value.clone())
        for module in model.modules()
        for name, value in module._buffers.items()
        if value is not None
    ]
    try:
        with torch.random.fork_rng(_gpus(model)), torch.no_grad(), evaluating(model):
            yield
    finally:
        with torch.no_grad():
            for table, name, value, old in buffers:
                table[name] = value.copy_(old)


def run(model: nn.Module, batch: Any, seed: int, sites: Sequence[Site], watch: Watch) -> None:
    """Runs the model once, with the same random numbers every time; `watch` sees what each of the sites makes.

    Raises:
        ForgeError: the model cannot run on the batch; and what `watch` raises.
    """
    key = Key(seed, "calibration")
    torch.set_rng_state(key.generator().get_state())
    for index in _gpus(model):
        torch.cuda.default_generators[index].manual_seed(key.integer())
    with ExitStack() as hooks:
        for site in sites:
            hook = site.module.register_forward_hook(partial(watch, site), with_kwargs=True)
            hooks.callback(hook.remove)
        try:
            if isinstance(batch, Mapping):
                model(**batch)
            elif isinstance(batch, tuple | list):
                model(*batch)
            else:
                model(batch)
        except ForgeError:
            raise
        except Exception as error:
            raise ForgeError([_cannot_run(model, batch, error)]) from error


def _gpus(model: nn.Module) -> list[int]:
    return sorted({weight.device.index for weight in model.parameters() if weight.device.type == "cuda"})


def _cannot_run(model: nn.Module, batch: Any, error: Exception) -> Problem:
    message = f"{type(model).__name__} cannot run on this batch {_shapes(batch)}: {sentence(error)}"
    hint = "a tensor is its only argument, a tuple its arguments, a mapping its keyword arguments"
    return Problem("MF050", "batch", message, hint)


def _shapes(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"{tuple(batch.shape)} of {str(batch.dtype).removeprefix('torch.')}"
    if isinstance(batch, Mapping):
        return "{" + ", ".join(f"{name}: {_shapes(value)}" for name, value in batch.items()) + "}"
    if isinstance(batch, tuple | list):
        return "[" + ", ".join(_shapes(value) for value in batch) + "]"
    return f"({type(batch).__name__})"
