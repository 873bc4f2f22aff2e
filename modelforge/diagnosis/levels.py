"""levels: a plan, what is predicted and what was measured → one `Level` for each tensor, in execution order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import exp, inf, isfinite, log, prod
from typing import Literal

from modelforge.core.tensors import TensorValue, Value, at, first
from modelforge.diagnosis.document import Energy, Level, finite
from modelforge.diagnosis.ledger_rows import pattern
from modelforge.diagnosis.measuring import Measured
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.signal.measures import Moments
from modelforge.signal.nodes import ProbedNode
from modelforge.signal.predict import NodeSignal, Prediction
from modelforge.signal.value import Gradient, Signal

DRAWN = ("weight", "recurrent", "embedding")
"""Roles of the parameters that decide how strong a signal is."""
MAX_LOG = 700.0
"""The logarithm of the largest energy that is given as a number."""


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


def _nodes(plan: Plan, measured: Measured) -> dict[str, ProbedNode]:
    """What was measured, by the path of a layer or the name of an input."""
    probe = measured.probe
    real = [name for name, value in plan.inputs.items() if value.dtype.startswith(("float", "bfloat"))]
    return {**probe.by_path, **dict(zip(real, probe.inputs, strict=False))}


def _level(predicted: NodeSignal, node: ProbedNode | None, weight: ParameterPlan | None, size: int) -> Level:
    signal, gradient = predicted.signal, predicted.gradient
    return Level(
        path=predicted.path,
        type=predicted.type,
        size=size,
        signal=None if signal is None else energy_of(signal),
        gradient=None if gradient is None else energy_of(gradient),
        measured_signal=None if node is None else _measured(node.forward),
        measured_gradient=None if node is None or node.gradient is None else _measured(node.gradient),
        not_finite=() if node is None else _not_finite(node),
        std=None if weight is None else finite(weight.std),
        chi=finite(predicted.chi),
        saturated=None if node is None else finite(node.saturated),
        dead=None if node is None or node.num_dead is None else node.num_dead / max(node.num_units, 1),
        rank=None if node is None else finite(node.effective_rank),
        note=predicted.note,
    )


def energy_of(predicted: Signal | Gradient) -> Energy | None:
    """What is predicted of a tensor; None where that is beyond double precision."""
    energy = predicted.second if isinstance(predicted, Signal) else predicted.energy
    if not isfinite(energy):
        return None
    typical = 0.0 if energy <= 0 else exp(min(predicted.log_mean, MAX_LOG))
    return Energy(energy=energy, spread=finite(predicted.spread), typical=typical)


def judged(levels: Sequence[Level], what: Literal["signal", "gradient"]) -> Mapping[str, float]:
    """The energies that count, by path: those measured; those predicted where none was. Never some of both."""
    measured = {level.path: level.measured_signal if what == "signal" else level.measured_gradient for level in levels}
    predicted = {level.path: level.signal if what == "signal" else level.gradient for level in levels}
    found = measured if any(measured.values()) or any(level.not_finite for level in levels) else predicted
    return {path: one.energy for path, one in found.items() if one is not None}


def _measured(moments: Moments) -> Energy | None:
    """What was measured of a tensor; None where that is not finite."""
    if moments.second_moment == 0:
        return Energy(energy=0.0)
    mean = moments.log_second_moment
    if mean == -inf:  # all zeros for some of the seeds, but not for all
        mean = log(moments.second_moment)
    return Energy(energy=exp(mean), spread=finite(moments.spread)) if mean < MAX_LOG else None


def _not_finite(node: ProbedNode) -> tuple[Literal["signal", "gradient"], ...]:
    if not prod(node.shape):
        return ()
    forward = () if _measured(node.forward) else ("signal",)
    backward = () if node.gradient is None or _measured(node.gradient) else ("gradient",)
    return (*forward, *backward)
