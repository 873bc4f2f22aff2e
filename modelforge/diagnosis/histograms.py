"""histograms: a built network and a batch → how the values of some weights and activations are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.diagnosis.document import Histogram, spaced
from modelforge.modules.untouched import untouched
from modelforge.planning.plan import Plan
from modelforge.signal.measures import drawn

MAX_SHOWN = 8
"""Weights, and activations, of one network."""
NUM_BINS = 31
MAX_VALUES = 1 << 18
"""Values of one tensor that are counted; of more, some that are drawn."""
ROLES = ("weight", "recurrent", "embedding")


def histograms(plan: Plan, model: nn.Module, inputs: Sequence[Tensor]) -> tuple[Histogram, ...]:
    """Those of some weights, and of what some layers give, at equal distances through the network.

    Args:
        plan: What the network was built from.
        model: The network.
        inputs: Its batch.
    """
    weights = [parameter.path for parameter in plan.parameters if parameter.role in ROLES]
    values = dict(model.named_parameters())
    shown = [weights[index] for index in spaced(len(weights), MAX_SHOWN)]
    found = [_histogram(path, "weights", values[path]) for path in shown if path in values]
    layers = [layer.path for layer in plan.layers if not layer.children]
    chosen = [layers[index] for index in spaced(len(layers), MAX_SHOWN)]
    given = _activations(model, chosen, inputs)
    found += [_histogram(path, "activations", given[path]) for path in chosen if path in given]
    return tuple(one for one in found if one is not None)


def _activations(model: nn.Module, paths: Sequence[str], inputs: Sequence[Tensor]) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            while isinstance(output, tuple) and output:
                output = output[0]
            if isinstance(output, Tensor):
                kept[path] = _sample(output)

        return hook

    modules = dict(model.named_modules())
    with untouched(model), torch.no_grad():
        handles = [modules[path].register_forward_hook(keep(path)) for path in paths if path in modules]
        try:
            model(*[value.clone() for value in inputs])
        finally:
            for handle in handles:
                handle.remove()
    return kept


def _sample(values: Tensor) -> Tensor:
    return drawn(values.detach().flatten(), MAX_VALUES).float().cpu().clone()


def _histogram(path: str, kind: Any, values: Tensor) -> Histogram | None:
    sample = _sample(values)
    if not sample.numel() or not bool(sample.isfinite().all()):
        return None
    low, high = float(sample.min()), float(sample.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(sample, NUM_BINS, low, high)
    shares = (counts / counts.sum()).tolist()
    return Histogram(path=path, kind=kind, low=low, high=high, shares=tuple(shares))
