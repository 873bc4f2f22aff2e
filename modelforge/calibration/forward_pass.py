"""Forward passes of a model on a batch: watched, repeatable, and without a trace in the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from modelforge.calibration.sites import Site
from modelforge.core.rng import Key
from modelforge.modules.calling import call, seed_devices
from modelforge.modules.hooks import evaluating
from modelforge.modules.untouched import gpus, untouched
from modelforge.signal.passes import eager

Watch = Callable[[Site, nn.Module, tuple[Any, ...], dict[str, Any], Any], Any]
"""Sees a site, its module, the arguments by place and by name, and what it makes; may replace that."""


@contextmanager
def undisturbed(model: nn.Module) -> Generator[None]:
    """Evaluation mode without gradients, and no compiled code, which calls no hooks, for its body; flags, buffers and
    random state are what they were after it."""
    with untouched(model), eager(model), torch.no_grad(), evaluating(model):
        yield


def run(model: nn.Module, batch: Any, seed: int, sites: Sequence[Site], watch: Watch) -> None:
    """Runs the model once, with the same random numbers every time; `watch` sees what each of the sites makes.

    Raises:
        ForgeError: the model cannot run on the batch; and what `watch` raises.
    """
    seed_devices(Key(seed, "calibration"), gpus(model))
    with ExitStack() as hooks:
        for site in sites:
            hook = site.module.register_forward_hook(partial(watch, site), with_kwargs=True)
            hooks.callback(hook.remove)
        call(model, batch)
