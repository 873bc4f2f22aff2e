"""levels: a plan, what is predicted and what was measured → one `Level` for each tensor, in execution order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import exp, isfinite, prod

from modelforge.core.tensors import TensorValue, Value, at, first
from modelforge.diagnosis.document import Energy, Level, finite
from modelforge.diagnosis.ledger_rows import pattern
from modelforge.diagnosis.measuring import Measured
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.signal.measures import Moments
from modelforge.signal.nodes import Node
from modelforge.signal.predict import NodeSignal, Prediction

DRAWN = ("weight", "recurrent", "embedding")
"""Roles of the parameters that decide how strong a signal is."""


def levels(plan: Plan, prediction: Prediction, measured: Measured | None) -> tuple[Level, ...]:
    """The inputs and the layers of a network.

    Args:
        plan: The network.
        prediction: Of it.
        measured: Of it; None where nothing was measured.
    """
    nodes = {} if measured is None else _nodes(plan, measured)
    weights = weights_of(plan)
    sizes = {layer.path: _size(layer.output) for layer in plan.layers}
    sizes |= {name: _size(value) for name, value in plan.inputs.items()}
    copies = Counter((pattern(node.path), node.type) for node in prediction.nodes)
    return tuple(
        _level(node, nodes.get(node.path), weights.get(node.path), sizes.get(node.path, 0)).model_copy(
            update={"copies": copies[pattern(node.path), node.type]}
        )
        for node in prediction.nodes
    )


def weights_of(plan: Plan) -> Mapping[str, ParameterPlan]:
    """The first weight of each layer that has one, by the layer's path."""
    owners = {f"{layer.path}.{name}": layer.path for layer in plan.layers for name in layer.parameters}
    found: dict[str, ParameterPlan] = {}
    for parameter in plan.parameters:
        if parameter.role in DRAWN and parameter.path in owners:
            found.setdefault(owners[parameter.path], parameter)
    return found


def _size(value: Value) -> int:
    """Numbers for one example in the first tensor of a value."""
    tensor = at(value, first(value))
    return prod(tensor.of(1)) if isinstance(tensor, TensorValue) else 0


def _nodes(plan: Plan, measured: Measured) -> dict[str, Node]:
    """What was measured, by the path of a layer or the name of an input."""
    probe = measured.probe
    real = [name for name, value in plan.inputs.items() if value.dtype.startswith(("float", "bfloat"))]
    return {**{node.path: node for node in probe.nodes}, **dict(zip(real, probe.inputs, strict=False))}


def _level(predicted: NodeSignal, node: Node | None, weight: ParameterPlan | None, size: int) -> Level:
    signal, gradient = predicted.signal, predicted.gradient
    return Level(
        path=predicted.path,
        type=predicted.type,
        size=size,
        signal=None if signal is None else _energy(signal.second, signal.spread),
        gradient=None if gradient is None else _energy(gradient.energy, gradient.spread),
        measured_signal=None if node is None else _measured(node.forward),
        measured_gradient=None if node is None or node.gradient is None else _measured(node.gradient),
        std=None if weight is None else finite(weight.std),
        chi=finite(predicted.chi),
        saturated=None if node is None else finite(node.saturated),
        dead=None if node is None or node.num_dead is None else node.num_dead / max(node.num_units, 1),
        rank=None if node is None else finite(node.effective_rank),
        note=predicted.note,
    )


def _energy(energy: float, spread: float) -> Energy | None:
    return Energy(energy=energy, spread=finite(spread)) if isfinite(energy) else None


def _measured(moments: Moments) -> Energy | None:
    if moments.second_moment == 0:
        return Energy(energy=0.0)
    log = moments.log_second_moment
    return Energy(energy=exp(log), spread=finite(moments.spread)) if isfinite(log) and abs(log) < 700 else None
