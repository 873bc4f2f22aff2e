"""predict: `Plan` → what signals and gradients to expect at the start of training. Nothing is allocated or drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from modelforge.core.complaints import require_count
from modelforge.core.shown import Shown
from modelforge.core.suggestions import lookup
from modelforge.core.tensors import TensorValue
from modelforge.core.words import number, plural
from modelforge.language import registry
from modelforge.language.model import ModelSpec
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan, planned
from modelforge.report.aligned import PATH, WORDS
from modelforge.report.table import Fitted, to_text
from modelforge.signal.back import backward
from modelforge.signal.flow import LeafLayer, Source, flow
from modelforge.signal.moments import correlation_depth, single
from modelforge.signal.origins import Origins
from modelforge.signal.rule import RULES, Node, Passed, SignalRule, Unpredictable
from modelforge.signal.rules.elementwise import activation
from modelforge.signal.shape import Shape
from modelforge.signal.value import Gradient, Signal

SHARED = "all units share a sum"
"""Why nothing is known after weights with a mean, not even after a norm, which may take out all there is."""
ONCE = "from here on"
"""What a note begins with that holds for all layers after it."""
SMALLEST, LARGEST = 1e-140, 1e140
"""Mean squares of which the squares, and sums of those over a batch, are still numbers of double precision."""


@dataclass(frozen=True, slots=True)
class NodeSignal:
    """What is predicted of one tensor: an input of the model, or what a layer gives."""

    path: str
    """Of the layer; of an input its name."""
    type: str
    signal: Signal | None
    """None where it is not known."""
    gradient: Gradient | None = None
    """Of a loss of which each output has a gradient of 1; None where it is not known, or none arrives."""
    chi: float | None = None
    """χ₁ of an activation and the weights before it: the factor on the energy of gradients, fan-in counted."""
    slope: float | None = None
    """V′(q) of an activation and the weights before it: the factor on a small error of the variance."""
    note: str = ""
    """Why it is not known, or what was assumed."""
    lost: str = ""
    """Why its gradient is not known; empty where it is, or where none arrives."""

    @property
    def correlation_depth(self) -> float | None:
        """ξ of an activation and the weights before it: about 6ξ layers can be trained; None where no bias keeps its
        variance."""
        preactivation = None if self.signal is None else self.signal.preactivation
        if preactivation is None or not self.chi:
            return None
        gain = self.chi / single(preactivation.activation, preactivation.mean, preactivation.variance).slope_second
        return correlation_depth(preactivation.activation, preactivation.variance, gain)

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain data."""
        signal, gradient = self.signal, self.gradient
        return {
            "path": self.path,
            "type": self.type,
            "mean": signal and signal.mean,
            "second_moment": signal and signal.second,
            "spread": signal and signal.spread,
            "gradient_energy": gradient and gradient.energy,
            "gradient_spread": gradient and gradient.spread,
            "chi": self.chi,
            "slope": self.slope,
            "note": self.note,
        }


@dataclass(frozen=True, repr=False)
class Prediction(Shown):
    """What signals and gradients to expect, node by node in execution order; prints as a table."""

    nodes: tuple[NodeSignal, ...]
    batch: int
    """Examples of the batch that is predicted."""
    training: bool

    @cached_property
    def by_path(self) -> Mapping[str, NodeSignal]:
        """The nodes by path."""
        return {node.path: node for node in self.nodes}

    def __getitem__(self, path: str) -> NodeSignal:
        """The node of a layer or an input.

        Raises:
            KeyError: there is none; it names the nearest paths.
        """
        return lookup(self.by_path, path, "the prediction has no layer or input")

    def __contains__(self, path: object) -> bool:
        return path in self.by_path

    def __iter__(self) -> Iterator[NodeSignal]:
        return iter(self.nodes)

    def node(self, path: str) -> NodeSignal:
        """The same as `prediction[path]`."""
        return self[path]

    @property
    def unknown(self) -> tuple[NodeSignal, ...]:
        """The layers whose signal is not known."""
        return tuple(node for node in self.nodes if node.signal is None and node.type != "input")

    @property
    def lost(self) -> tuple[NodeSignal, ...]:
        """The layers and inputs that get a gradient which is not known."""
        return tuple(node for node in self.nodes if node.lost and node.gradient is None)

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain data."""
        return {"batch": self.batch, "training": self.training, "nodes": [node.to_dict() for node in self.nodes]}

    def table(self) -> RenderableType:
        """The nodes as a table for a terminal. ± is one standard deviation of the logarithm, over draws."""
        header = ["layer", "type", "mean", "E x²", "± ln", "E g²", "± ln", "χ₁", "V′", "note"]
        lines = [[Text(cell) for cell in _cells(node)] for node in self.nodes]
        return Fitted(header, lines, right=range(2, 9), folds={0: PATH, 9: WORDS}, steps=((9, 24), (0, 12), (1, 0)))

    def __str__(self) -> str:
        return to_text(self.table())

    def _brief(self) -> str:
        return f"{plural(len(self.nodes), 'node')}, {len(self.unknown):,} unknown"


def _cells(node: NodeSignal) -> list[str]:
    signal, gradient = node.signal, node.gradient
    return [
        node.path,
        node.type,
        number(signal and signal.mean),
        number(signal and signal.second),
        number(signal and float(f"{signal.spread:.2g}")),
        number(gradient and gradient.energy),
        number(gradient and float(f"{gradient.spread:.2g}")),
        "" if node.chi is None else number(node.chi),
        "" if node.slope is None else number(node.slope),
        node.note,
    ]


def predict(plan: ModelSpec | Plan, *, batch_size: int = 32, training: bool = True) -> Prediction:
    """What signals and gradients to expect at the start of training, layer by layer, without values.

    Inputs of real numbers are taken as independent with mean 0 and variance 1, whole numbers as uniform, and the
    gradient with respect to each output as independent with mean 0 and variance 1. Forward, a layer gets the moments of
    what arrives; backward, the energy of the gradient of what it gives. Both are means over draws of all weights;
    `spread` says by how much one draw may differ.

    Formula: E x² ← n·E w²·E x² + E b² (weights); E φ(z)², z ~ N (activations); E g² ← n_out·E w²·E g², E φ′²·E g²
    Source: Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232; spread: Hanin and Nica 2018,
        arXiv:1812.05994

    Args:
        plan: The plan of the model, or its spec.
        batch_size: Examples in a batch, which batch norms and the spread depend on.
        training: Dropout and batch norms act as in training.

    Raises:
        ValueError: `batch_size` is no whole number from 1 on.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"hidden": {"type": "Linear", "out_features": 256}, "act": "ReLU"}
        >>> decided = plan(parse({"input": {"shape": [256]}, "layers": layers}, init={"scheme": "kaiming"}))
        >>> node = predict(decided)["act"]
        >>> round(node.signal.second, 6), round(node.chi, 6)
        (1.0, 1.0)
    """
    plan = planned(plan, "predict")
    require_count(batch_size, "predict takes `batch_size` examples")
    flowing = flow(plan)
    signals: dict[Source, Signal | None] = {
        Source(f"@{name}"): arriving_at(value, batch_size) for name, value in plan.inputs.items()
    }
    parameters = {parameter.path: parameter for parameter in plan.parameters}
    parameters |= {name: parameters[first] for name, first in plan.ties.items() if first in parameters}
    owned = by_owner(parameters)
    done: list[tuple[LeafLayer, Passed | None, str]] = []
    causes, origins = dict[str, str](), Origins()
    for leaf in flowing.leaves:
        node = Node(
            leaf.layer,
            owned.get(leaf.layer.path, {}),
            tuple(signals.get(read) for read in leaf.reads),
            batch_size,
            training,
            sources=leaf.reads,
            mixed=origins.mixed(leaf),
            dependent=origins.dependent(leaf, signals),
        )
        origins.add(leaf, node.parameters)
        result, reason = forward(node, leaf, signals, causes)
        outputs = {(): None} if result is None else result.outputs
        signals |= {Source(leaf.layer.path, index): signal for index, signal in outputs.items()}
        done.append((leaf, result, reason))
    gradients, lost = backward(done, flowing.results.values(), signals, batch_size)
    return Prediction(tuple(_nodes(plan, done, signals, gradients, lost)), batch_size, training)


def by_owner(parameters: Mapping[str, ParameterPlan]) -> dict[str, dict[str, ParameterPlan]]:
    """Parameters by every path around them, by name below it."""
    owned: dict[str, dict[str, ParameterPlan]] = {}
    for path, parameter in parameters.items():
        parts = path.split(".")
        for end in range(1, len(parts)):
            owned.setdefault(".".join(parts[:end]), {})[".".join(parts[end:])] = parameter
    return owned


def arriving_at(value: TensorValue, batch: int) -> Signal | None:
    """The signal of an input: independent numbers; None for whole numbers."""
    if not value.dtype.startswith(("float", "bfloat")):
        return None
    sizes = value.of(batch)
    shape = Shape(sizes, value.batch_axis, 1 if len(sizes) > 3 else len(sizes) - 1)
    pairs = shape.num_units * shape.num_positions * shape.num_examples
    return Signal(shape, mean=0.0, second=1.0, along=0.0, across=0.0, noise=2 / max(1, pairs))


def rule_of(node: Node) -> SignalRule | None:
    name = node.layer.type
    if name in RULES:
        return RULES.get(name)
    return SignalRule(activation) if registry.get(name).kind == "activation" else None


def forward(
    node: Node, leaf: LeafLayer, signals: Mapping[Source, Signal | None], causes: dict[str, str]
) -> tuple[Passed | None, str]:
    """What a layer makes of what it reads; or None and the reason, which `causes` then holds by path."""
    result, reason = _asked(node, leaf, signals, causes)
    if result is None:
        causes[leaf.layer.path] = reason
    return result, reason


def _asked(
    node: Node, leaf: LeafLayer, signals: Mapping[Source, Signal | None], causes: Mapping[str, str]
) -> tuple[Passed | None, str]:
    rule = rule_of(node)
    if rule is None:
        return None, f"unknown from here on: `{node.layer.type}` has no signal rule, register one"
    lost = [read.maker for read in leaf.reads if signals.get(read) is None and not read.maker.startswith("@")]
    shared = [read.maker for read in leaf.reads if (signal := signals.get(read)) is not None and signal.shared]
    if shared:
        return None, f"unknown from here on: {SHARED} in `{shared[0]}`, whose weights have a mean"
    reasons = [causes.get(maker, "unknown: it reads what is not known") for maker in lost]
    if lost and (not rule.restarts or any(SHARED in reason for reason in reasons)):
        return None, reasons[0]
    try:
        result = rule.ask(node)
        _check_range(result)
    except Unpredictable as reason:
        return None, reasons[0] if lost else f"unknown from here on: {reason}"
    return result, result.note


def _check_range(result: Passed) -> None:
    for output in result.outputs.values():
        if output.second and not SMALLEST < output.second < LARGEST:
            raise Unpredictable(f"a mean square of {number(output.second)} is beyond double precision")


def _nodes(
    plan: Plan,
    done: list[tuple[LeafLayer, Passed | None, str]],
    signals: Mapping[Source, Signal | None],
    gradients: Mapping[Source, Gradient | None],
    lost: Mapping[Source, str],
) -> list[NodeSignal]:
    nodes = [
        NodeSignal(name, "input", signals[source], gradients.get(source), lost=lost.get(source, ""))
        for name in plan.inputs
        for source in [Source(f"@{name}")]
    ]
    said: set[str] = set()
    for leaf, result, reason in done:
        note = "" if result is not None and reason.startswith(ONCE) and reason in said else reason
        said.add(reason)
        index = () if result is None else next(iter(result.outputs))
        source = Source(leaf.layer.path, index)
        if not note and source in lost and lost[source] not in said:
            note = lost[source]
            said.add(note)
        both = signals.get(source), gradients.get(source)
        node = NodeSignal(leaf.layer.path, leaf.layer.type, *both, note=note, lost=lost.get(source, ""))
        nodes.append(node if result is None else replace(node, chi=result.chi, slope=result.slope))
    return nodes
