"""num_flops: `Plan` → what one forward pass of one example costs, layer by layer. Nothing is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from modelforge.core.limits import MAX_SIZE
from modelforge.core.rng import preserved_globals
from modelforge.core.tensors import BATCH
from modelforge.language import registry
from modelforge.planning.forward import FewSteps
from modelforge.planning.plan import LayerPlan, Plan
from modelforge.planning.study import construct, run


def num_flops(plan: Plan) -> Mapping[str, int]:
    """Floating-point operations by layer path, leaves that cost something only.

    Counted by torch as each layer runs on the meta device: matrix products, bilinear forms and convolutions, a
    multiplication and an addition as two; elementwise work is not counted.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"head": {"type": "Linear", "out_features": 10, "init": "xavier"}}
        >>> num_flops(plan(parse({"input": {"shape": [64]}, "layers": layers})))
        {'head': 1280}
    """
    known: dict[Any, int] = {}
    costs: dict[str, int] = {}
    with preserved_globals():
        for layer in plan.layers:
            if layer.children:
                continue
            alike = layer.type, repr(layer.arguments), layer.inputs
            if alike not in known:
                known[alike] = _count(layer)
            if known[alike]:
                costs[layer.path] = known[alike]
    return costs


def _count(layer: LayerPlan) -> int:
    module = construct(registry.get(layer.type), layer.arguments)
    with FewSteps(1):
        run(module, layer.inputs)  # a first time, so that one which goes over to evaluation is counted once
    one, lengths = _count_steps(module, layer, 1)
    two, _ = _count_steps(module, layer, 2) if lengths else (one, lengths)
    # The cost of a recurrence grows with its steps; where a layer has several, they may be of several lengths.
    total = one + (two - one) * (max(lengths, default=1) - 1) if len(lengths) < 2 else _count_steps(module, layer)[0]
    return round(total / BATCH)


def _count_steps(module: nn.Module, layer: LayerPlan, count: int = MAX_SIZE) -> tuple[int, set[int]]:
    """The cost of a layer with at most `count` steps of each recurrence in it, and the lengths of those."""
    with FlopCounterMode(display=False, custom_mapping=_BILINEAR) as counter, FewSteps(count) as few:
        run(module, layer.inputs)
    return counter.get_total_flops(), few.lengths


def _of_bilinear(left: torch.Size, weight: torch.Size, *others: Any, out_shape: torch.Size, **_: Any) -> int:
    """Each output of each example multiplies all pairs of inputs."""
    return 2 * prod(out_shape) * prod(weight[1:])


_BILINEAR = {torch.ops.aten._trilinear: _of_bilinear}
"""What torch's counter does not know."""
