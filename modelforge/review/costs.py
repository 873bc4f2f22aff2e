"""costs: two plans → parameters, arithmetic and memory of activations on both sides, in total and by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from modelforge.core.paths import parent
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import Plan
from modelforge.review.pairing import Pairing
from modelforge.signal.memory import Runs, memory


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer, or a whole model, takes."""

    parameters: int = 0
    """Elements; a tied parameter counts once."""
    flops: int = 0
    """Of one forward pass of one example: matrix products and convolutions, as torch counts them."""
    activations: int = 0
    """Bytes that the backward pass keeps for one example, as `show --memory` counts them."""

    def to_dict(self) -> dict[str, int]:
        """The numbers as plain data."""
        return {"parameters": self.parameters, "flops": self.flops, "activation_bytes": self.activations}


@dataclass(frozen=True, slots=True)
class LayerCost:
    """A layer whose cost differs; a side that lacks it costs nothing."""

    path: str
    """On the new side if it is there."""
    old: Cost
    new: Cost

    def to_dict(self) -> dict[str, Any]:
        """The costs as plain data."""
        return {"path": self.path, "old": self.old.to_dict(), "new": self.new.to_dict()}


@dataclass(frozen=True, slots=True)
class Costs:
    """Both sides."""

    old: Cost
    new: Cost
    layers: tuple[LayerCost, ...] = ()
    """The layers whose cost differs, in the order of the new side; those that are gone come last."""

    def to_dict(self) -> dict[str, Any]:
        """The costs as plain data."""
        return {
            "old": self.old.to_dict(),
            "new": self.new.to_dict(),
            "layers": [layer.to_dict() for layer in self.layers],
        }


def costs(old: Plan, new: Plan, pairs: Pairing, runs: Runs | None = None) -> Costs:
    """What both models take.

    Args:
        old: The plan of the old side.
        new: The plan of the new side.
        pairs: Which layers belong together.
        runs: What layers of other plans saved; see `memory`.

    Example:
        >>> from modelforge.language import parse
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.review.pairing import paired
        >>> model = {"input": {"shape": [4]}, "layers": {"a": {"type": "Linear", "out_features": 2}}}
        >>> wide = {"input": {"shape": [4]}, "layers": {"a": {"type": "Linear", "out_features": 3}}}
        >>> old, new = (plan(parse(item, "zeros")) for item in (model, wide))
        >>> result = costs(old, new, paired(old, new))
        >>> result.old, result.new.parameters
        (Cost(parameters=10, flops=16, activations=16), 15)
    """
    runs = {} if runs is None else runs
    before, after = _by_layer(old, runs), _by_layer(new, runs)
    rows = [LayerCost(path, before.get(pairs.layers.get(path, ""), Cost()), cost) for path, cost in after.items()]
    taken = set(pairs.layers.values())
    rows += [LayerCost(path, cost, Cost()) for path, cost in before.items() if path not in taken]
    return Costs(_sum(before), _sum(after), tuple(row for row in rows if row.old != row.new))


def _by_layer(plan: Plan, runs: Runs) -> dict[str, Cost]:
    """The costs of the layers that hold no others."""
    flops = num_flops(plan)
    sizes: dict[str, int] = {}
    leaves = {layer.path: layer for layer in plan.layers if not layer.children}
    for parameter in plan.parameters:
        path = _owner(parameter.path, leaves)
        sizes[path] = sizes.get(path, 0) + prod(parameter.shape)
    bytes_of = _kept(plan, runs)
    return {path: Cost(sizes.get(path, 0), flops.get(path, 0), bytes_of.get(path, 0)) for path in leaves}


def _kept(plan: Plan, runs: Runs) -> dict[str, int]:
    """Bytes that each layer keeps of one example; half of those of two where it cannot run on one."""
    one = {path: found.activations for path, found in memory(plan, 1, lambda parameter: 0, known=runs).items()}
    if None not in one.values():
        return {path: size or 0 for path, size in one.items()}
    two = memory(plan, 2, lambda parameter: 0, known=runs)
    return {path: (two[path].activations or 0) // 2 if size is None else size for path, size in one.items()}


def _owner(path: str, leaves: Mapping[str, Any]) -> str:
    owner = parent(path)
    while owner and owner not in leaves:
        owner = parent(owner)
    return owner


def _sum(by_layer: Mapping[str, Cost]) -> Cost:
    every = by_layer.values()
    return Cost(sum(c.parameters for c in every), sum(c.flops for c in every), sum(c.activations for c in every))
