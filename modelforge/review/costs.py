"""costs: two plans → parameters, arithmetic and memory of activations on both sides, in total and by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from modelforge.core.paths import parent
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import LayerPlan, Plan
from modelforge.review.pairing import Pairing
from modelforge.signal.memory import Runs, memory


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer, or a whole model, takes."""

    parameters: int = 0
    """Elements; a tied parameter counts once."""
    flops: int = 0
    """Of one forward pass of one example: matrix products and convolutions, as torch counts them."""
    activations: int | None = 0
    """Bytes that the backward pass keeps for one example, as `show --memory` counts them; None if not known."""

    def to_dict(self) -> dict[str, int | None]:
        """The numbers as plain data."""
        return {"parameters": self.parameters, "flops": self.flops, "activation_bytes": self.activations}


@dataclass(frozen=True, slots=True)
class LayerCost:
    """A layer whose cost differs, or may; a side that lacks it costs nothing."""

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
    unknown: tuple[str, ...] = ()
    """The layers of which the activations of a side are not known, and so those of the model."""
    known: tuple[int, int] = (0, 0)
    """Bytes of activations of all other layers, on both sides."""

    def to_dict(self) -> dict[str, Any]:
        """The costs as plain data."""
        return {
            "old": self.old.to_dict(),
            "new": self.new.to_dict(),
            "layers": [layer.to_dict() for layer in self.layers],
            "unknown_activations": list(self.unknown),
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
    kept = {row.path: (row.old.activations, row.new.activations) for row in rows}
    known = [(one, other) for one, other in kept.values() if one is not None and other is not None]
    return Costs(
        _sum(before),
        _sum(after),
        tuple(row for row in rows if row.old != row.new or _may_differ(row, old, new, pairs)),
        tuple(path for path, sides in kept.items() if None in sides),
        (sum(one for one, _ in known), sum(other for _, other in known)),
    )


def _may_differ(row: LayerCost, old: Plan, new: Plan, pairs: Pairing) -> bool:
    """Whether a layer whose activations neither side knows is not what it was."""
    if row.old.activations is not None or row.new.activations is not None:
        return False
    before, after = _layer(old, pairs.layers[row.path]), _layer(new, row.path)
    return (before.type, before.arguments, before.inputs) != (after.type, after.arguments, after.inputs)


def _layer(plan: Plan, path: str) -> LayerPlan:
    return next(layer for layer in plan.layers if layer.path == path)


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


def _kept(plan: Plan, runs: Runs) -> dict[str, int | None]:
    """Bytes that each layer keeps of one example; half of those of two where it cannot run on one."""
    one = {path: found.activations for path, found in memory(plan, 1, lambda parameter: 0, known=runs).items()}
    if None not in one.values():
        return one
    two = {path: found.activations for path, found in memory(plan, 2, lambda parameter: 0, known=runs).items()}
    return {path: _half(two[path]) if size is None else size for path, size in one.items()}


def _half(size: int | None) -> int | None:
    return None if size is None else size // 2


def _owner(path: str, leaves: Mapping[str, Any]) -> str:
    owner = parent(path)
    while owner and owner not in leaves:
        owner = parent(owner)
    return owner


def _sum(by_layer: Mapping[str, Cost]) -> Cost:
    every = by_layer.values()
    kept = [cost.activations for cost in every]
    known = [size for size in kept if size is not None]
    activations = sum(known) if len(known) == len(kept) else None
    return Cost(sum(c.parameters for c in every), sum(c.flops for c in every), activations)
