"""num_flops: `Plan` → what one forward pass of one example costs, layer by layer. Nothing is allocated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.utils.flop_counter import FlopCounterMode

from modelforge.core.rng import preserved_globals
from modelforge.core.tensors import BATCH
from modelforge.language import registry
from modelforge.planning.plan import LayerPlan, Plan
from modelforge.planning.study import construct, run


def num_flops(plan: Plan) -> Mapping[str, int]:
    """Floating-point operations by layer path, leaves that cost something only.

    Counted by torch as each layer runs on the meta device: matrix products and convolutions, a multiplication and an
    addition as two; elementwise work is not counted.

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
    run(module, layer.inputs)  # a first time, so that one which goes over to evaluation is counted once
    with FlopCounterMode(display=False) as counter:
        run(module, layer.inputs)
    return round(counter.get_total_flops() / BATCH)
